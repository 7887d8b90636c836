// Regular expressions as Python's re module understands those that scoring code uses: \d, \w and \b know Unicode.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

class Pattern {
 public:
  // `expression` is ours, never a user's.
  explicit Pattern(const std::string& expression);

  // The whole match and its groups; those that took no part are empty.
  using Match = std::vector<std::string>;

  // re.search() and re.findall(). Both find nothing more where matching would take more than its bounds allow: a
  // match is never worth a hung program.
  std::optional<Match> search(std::string_view text) const;
  std::vector<Match> find_all(std::string_view text) const;
  // re.sub().
  std::string replace(std::string_view text, std::string_view with) const;

 private:
  struct Compiled;
  struct Found;
  std::optional<Found> next(std::string_view text, std::size_t from) const;

  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace striate

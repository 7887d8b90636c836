// Regular expressions of tokenizers, as the `tokenizers` library (Oniguruma) and tiktoken understand them.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace striate {

// A compiled pattern over UTF-8. Runs on PCRE2 with Unicode properties; `\s`, `\p{L}` and `\p{N}` are widened to what
// Oniguruma 6.9.10 (Unicode 16) matches, so that a letter younger than the installed PCRE2 splits the same way.
class Regex {
 public:
  // Throws Unsupported when the pattern does not compile; the message begins with `where` and names the pattern.
  Regex(const std::string& pattern, const std::string& where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // [begin, end) of every non-empty match in `text`, left to right, not overlapping. `text` is valid UTF-8.
  // Throws Unsupported for a pattern that tries without end to match this text: each match is held to ten million steps
  // and to 256 MB.
  std::vector<std::pair<std::size_t, std::size_t>> find_all(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

}  // namespace striate

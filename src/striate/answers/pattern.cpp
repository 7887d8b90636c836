#include "striate/answers/pattern.h"

#include <cstdint>

#include "striate/base/error.h"
#include "striate/base/strings.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace striate {
namespace {

constexpr std::uint32_t kMostMemoryKib = 64 << 10;
constexpr std::uint32_t kMostTries = 10'000'000;

}  // namespace

struct Pattern::Compiled {
  pcre2_code* code;
  pcre2_match_context* limits;

  explicit Compiled(pcre2_code* compiled) : code(compiled), limits(pcre2_match_context_create(nullptr)) {
    if (limits == nullptr) return;
    pcre2_set_heap_limit(limits, kMostMemoryKib);
    pcre2_set_match_limit(limits, kMostTries);
  }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }
};

struct Pattern::Found {
  Match match;
  std::size_t begin, end;
};

Pattern::Pattern(const std::string& expression) {
  int error = 0;
  PCRE2_SIZE where = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF, &error, &where, nullptr);
  if (code == nullptr) throw internal_error(cat("the pattern '", expression, "' is wrong at ", where));
  compiled_ = std::make_shared<const Compiled>(code);
}

std::optional<Pattern::Found> Pattern::next(std::string_view text, std::size_t from) const {
  const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> data(
      pcre2_match_data_create_from_pattern(compiled_->code, nullptr), pcre2_match_data_free);
  if (data == nullptr) return std::nullopt;
  const int count = pcre2_match(compiled_->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, 0,
                                data.get(), compiled_->limits);
  if (count <= 0) return std::nullopt;
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
  Found found{{}, range[0], range[1]};
  for (std::uint32_t group = 0; group < pcre2_get_ovector_count(data.get()); ++group) {
    const bool took_part = group < static_cast<std::uint32_t>(count) && range[2 * group] != PCRE2_UNSET;
    found.match.emplace_back(took_part ? text.substr(range[2 * group], range[2 * group + 1] - range[2 * group])
                                       : std::string_view());
  }
  return found;
}

std::optional<Pattern::Match> Pattern::search(std::string_view text) const {
  std::optional<Found> found = next(text, 0);
  if (!found) return std::nullopt;
  return std::move(found->match);
}

std::vector<Pattern::Match> Pattern::find_all(std::string_view text) const {
  std::vector<Match> all;
  std::size_t at = 0;
  while (at <= text.size()) {
    std::optional<Found> found = next(text, at);
    if (!found) break;
    at = found->end > found->begin ? found->end : found->end + 1;
    all.push_back(std::move(found->match));
  }
  return all;
}

std::string Pattern::replace(std::string_view text, std::string_view with) const {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::optional<Found> found = next(text, at);
    if (!found || found->end == found->begin) break;
    out.append(text.substr(at, found->begin - at)).append(with);
    at = found->end;
  }
  return out.append(text.substr(at));
}

}  // namespace striate

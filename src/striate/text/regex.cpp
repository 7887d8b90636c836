#include "striate/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <cstdint>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/utf8.h"

namespace striate {
namespace {

// PCRE2's \s also takes U+180E, which left Unicode's White_Space in 6.3.
constexpr std::string_view kSpaces =
    R"(\x{9}-\x{D}\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// Letters and numbers that Unicode 15, 15.1 and 16 added; Debian 12's PCRE2 10.42 knows Unicode 14.
constexpr std::string_view kLetters =
    R"(\p{L}\x{1C89}-\x{1C8A}\x{A7CB}-\x{A7CD}\x{A7DA}-\x{A7DC}\x{105C0}-\x{105F3}\x{10D4A}-\x{10D65})"
    R"(\x{10D6F}-\x{10D85}\x{10EC2}-\x{10EC4}\x{1123F}-\x{11240}\x{11380}-\x{11389}\x{1138B}\x{1138E})"
    R"(\x{11390}-\x{113B5}\x{113B7}\x{113D1}\x{113D3}\x{11BC0}-\x{11BE0}\x{11F02}\x{11F04}-\x{11F10})"
    R"(\x{11F12}-\x{11F33}\x{1342F}\x{13441}-\x{13446}\x{13460}-\x{143FA}\x{16100}-\x{1611D})"
    R"(\x{16D40}-\x{16D6C}\x{18CFF}\x{1B132}\x{1B155}\x{1DF25}-\x{1DF2A}\x{1E030}-\x{1E06D})"
    R"(\x{1E4D0}-\x{1E4EB}\x{1E5D0}-\x{1E5ED}\x{1E5F0}\x{2B739}\x{2EBF0}-\x{2EE5D}\x{31350}-\x{323AF})";
constexpr std::string_view kNumbers =
    R"(\p{N}\x{10D40}-\x{10D49}\x{116D0}-\x{116E3}\x{11BF0}-\x{11BF9}\x{11F50}-\x{11F59}\x{16130}-\x{16139})"
    R"(\x{16D70}-\x{16D79}\x{1CCF0}-\x{1CCF9}\x{1D2C0}-\x{1D2D3}\x{1E4F0}-\x{1E4F9}\x{1E5F1}-\x{1E5FA})";

struct Widened {
  std::string_view name;     // as the pattern writes it
  std::string_view members;  // what goes inside a character class
  bool negated;
};

constexpr Widened kWidened[] = {
    {R"(\p{L})", kLetters, false}, {R"(\p{N})", kNumbers, false}, {R"(\s)", kSpaces, false},
    {R"(\P{L})", kLetters, true},  {R"(\P{N})", kNumbers, true},  {R"(\S)", kSpaces, true},
};

// The pattern with the names above written out.
std::string widen(const std::string& pattern) {
  std::string out;
  bool in_class = false;
  for (std::size_t at = 0; at < pattern.size();) {
    const std::string_view rest = std::string_view(pattern).substr(at);
    const Widened* found = nullptr;
    for (const Widened& candidate : kWidened) {
      if (rest.starts_with(candidate.name)) found = &candidate;
    }
    // A negated name inside a class cannot be written as ranges: PCRE2's own meaning stays.
    if (found != nullptr && !(in_class && found->negated)) {
      out += in_class ? std::string(found->members) : cat(found->negated ? "[^" : "[", found->members, "]");
      at += found->name.size();
    } else if (rest.front() == '\\' && rest.size() > 1) {
      out += rest.substr(0, 2);
      at += 2;
    } else {
      if (rest.front() == '[') in_class = true;
      if (rest.front() == ']') in_class = false;
      out += rest.front();
      ++at;
    }
  }
  return out;
}

std::string pcre2_message(int code) {
  PCRE2_UCHAR text[200] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

constexpr const char* kHint = "compare the tokenizer with the one that was published with this model";
// PCRE2 by itself stops after ten million steps, but would take 20 GB on the way.
constexpr std::uint32_t kMostMemory = 256 * 1024;  // kB

struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Regex::Compiled {
  std::string name;  // for errors: where it stands, and how it is written
  pcre2_code* code;
  pcre2_match_context* limits;
  Compiled(std::string named, pcre2_code* compiled)
      : name(std::move(named)), code(compiled), limits(pcre2_match_context_create(nullptr)) {
    if (limits != nullptr) pcre2_set_heap_limit(limits, kMostMemory);
  }
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() {
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }
};

Regex::Regex(const std::string& pattern, const std::string& where) {
  const std::string widened = widen(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(widened.data()), widened.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  const std::string name = cat(where, ": pattern '", pattern, "'");
  if (code == nullptr) throw unsupported(cat(name, ": ", pcre2_message(error)), kHint);
  compiled_ = std::make_unique<Compiled>(name, code);
  if (compiled_->limits == nullptr) throw std::bad_alloc();
  // Without JIT (a platform that has none) the interpreter gives the same matches, slower.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::vector<std::pair<std::size_t, std::size_t>> Regex::find_all(std::string_view text) const {
  const std::unique_ptr<pcre2_match_data, MatchDataDeleter> data(pcre2_match_data_create(1, nullptr));
  if (!data) throw std::bad_alloc();
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  std::vector<std::pair<std::size_t, std::size_t>> matches;
  std::size_t at = 0;
  while (at < text.size()) {
    // The text is known to be valid: checking it again for every match would be quadratic.
    int found =
        pcre2_match(compiled_->code, subject, text.size(), at, PCRE2_NO_UTF_CHECK, data.get(), compiled_->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(compiled_->code, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.get(),
                          compiled_->limits);
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw unsupported(cat(compiled_->name, " on ", human_bytes(text.size()), " of text: ", pcre2_message(found)),
                        kHint);
    }
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    if (range[1] > range[0]) {
      matches.emplace_back(range[0], range[1]);
      at = range[1];
    } else {
      at = range[1] >= text.size() ? text.size() : range[1] + utf8_at(text, range[1]).size;
    }
  }
  return matches;
}

}  // namespace striate

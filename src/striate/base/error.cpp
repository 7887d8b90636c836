#include "striate/base/error.h"

#include "striate/base/strings.h"

namespace striate {
namespace {

// A name out of a file may be megabytes long: of a text beyond this many bytes the middle is left out.
constexpr std::size_t kLongest = 1500;
constexpr std::size_t kEnd = 300;  // what is kept of a longer text's end: what is wrong often stands there
constexpr std::string_view kLeftOut = " [...] ";

// Moves a cut before the character that it would divide.
std::size_t at_character(std::string_view text, std::size_t at) {
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

std::string one_line(const std::string& text) {
  std::string line = printable(text);
  if (line.size() <= kLongest) return line;
  const std::size_t begin = at_character(line, kLongest - kEnd - kLeftOut.size());
  const std::size_t end = at_character(line, line.size() - kEnd + 3);
  return line.replace(begin, end - begin, kLeftOut);
}

}  // namespace

Error::Error(ErrorKind kind, const std::string& message, const std::string& hint)
    : std::runtime_error(one_line(message)), kind_(kind), hint_(one_line(hint)) {}

int Error::exit_code() const {
  switch (kind_) {
    case ErrorKind::kInvalidInput:
    case ErrorKind::kCorruptData:
    case ErrorKind::kUnsupported:
      return 2;
    case ErrorKind::kResource:
    case ErrorKind::kInternal:
      return 1;
  }
  return 1;
}

Error invalid_input(const std::string& message, const std::string& hint) {
  return {ErrorKind::kInvalidInput, message, hint};
}

Error corrupt_data(const std::string& message, const std::string& hint) {
  return {ErrorKind::kCorruptData, message, hint};
}

Error unsupported(const std::string& message, const std::string& hint) {
  return {ErrorKind::kUnsupported, message, hint};
}

Error resource_error(const std::string& message, const std::string& hint) {
  return {ErrorKind::kResource, message, hint};
}

Error internal_error(const std::string& message) {
  return {ErrorKind::kInternal, message, "this is a bug in striate: please report it with the command you ran"};
}

}  // namespace striate

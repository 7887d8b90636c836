#include "striate/base/error.h"

namespace striate {

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

Error invalid_input(const std::string& message, std::string hint) {
  return {ErrorKind::kInvalidInput, message, std::move(hint)};
}

Error corrupt_data(const std::string& message, std::string hint) {
  return {ErrorKind::kCorruptData, message, std::move(hint)};
}

Error unsupported(const std::string& message, std::string hint) {
  return {ErrorKind::kUnsupported, message, std::move(hint)};
}

Error resource_error(const std::string& message, std::string hint) {
  return {ErrorKind::kResource, message, std::move(hint)};
}

Error internal_error(const std::string& message) {
  return {ErrorKind::kInternal, message, "this is a bug in striate: please report it with the command you ran"};
}

}  // namespace striate

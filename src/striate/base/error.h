// The one exception type of the library.
//
// Every failure a user can meet is an Error with a kind, one line that says what and where, and a hint that says what
// to do about it. The library throws; only the program's main() turns it into text and an exit code. Names out of files
// may be part of a message: both texts become one printable line each (base/strings.h).
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace striate {

enum class ErrorKind {
  kInvalidInput,  // the user asked for something impossible: a flag, a file name, a combination
  kCorruptData,   // a file is damaged or not what it claims to be
  kUnsupported,   // well formed, but not something Striate does
  kResource,      // memory, disk or a device ran out while running
  kInternal,      // a bug of ours
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, const std::string& hint = {});

  ErrorKind kind() const { return kind_; }
  // What to do about it; may be empty.
  const std::string& hint() const { return hint_; }
  // 2 when the user asked for something impossible or gave a bad file, 1 when it failed while running.
  int exit_code() const;

 private:
  ErrorKind kind_;
  std::string hint_;
};

// Shorthands: throw invalid_input("`layers` 40: the model has 32 layers", "give layers 0 to 31"); backticks name a
// setting (base/setting.h).
Error invalid_input(const std::string& message, const std::string& hint = {});
Error corrupt_data(const std::string& message, const std::string& hint = {});
Error unsupported(const std::string& message, const std::string& hint = {});
Error resource_error(const std::string& message, const std::string& hint = {});
Error internal_error(const std::string& message);

}  // namespace striate

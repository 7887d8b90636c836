// A filter for standard output and standard error, which may print untrusted text from files: names of tensors, ids of
// samples, a model's answers. No control character of such text may reach the terminal, where it could clear the screen
// or fake a line of ours. With one filter for all output, no code that prints needs a check of its own.
#pragma once

#include <cstddef>
#include <streambuf>
#include <string>
#include <string_view>

namespace striate {

// `text` as it may be shown: control characters other than line breaks and tabs, and marks that reorder text, become
// \u001b, which inside a JSON string means the same character; bytes that are not UTF-8 become U+FFFD. All other text
// stays as it is.
std::string output_text(std::string_view text);

// A buffer for std::ostream that writes output_text() to a file descriptor. A character may come in pieces: its first
// bytes wait for the others. Failures are kept, not thrown: see error().
class SafeOutput : public std::streambuf {
 public:
  // Does not own `file`.
  explicit SafeOutput(int file);
  SafeOutput(const SafeOutput&) = delete;
  SafeOutput& operator=(const SafeOutput&) = delete;
  // Writes what is left.
  ~SafeOutput() override;

  // Writes what is left, also of a character that never became whole.
  void finish();
  // The errno of the first write that failed, after which nothing more is written; 0: none.
  int error() const { return error_; }

 protected:
  int_type overflow(int_type next) override;
  int sync() override;

 private:
  bool drain(bool last);
  void write(std::string_view text);

  int file_;
  int error_ = 0;
  std::string buffer_;
};

}  // namespace striate

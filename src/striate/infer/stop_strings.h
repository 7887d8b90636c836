// Ending an answer at a stop string while its text streams out.
#pragma once

#include <string>
#include <vector>

namespace striate {

// Passes text through until one of the strings appears; text that may still become one is held back.
class StopStrings {
 public:
  // Empty strings are ignored.
  explicit StopStrings(std::vector<std::string> strings);
  // The part of all text so far that is certain to come before any stop string.
  std::string push(const std::string& piece);
  // What was held back, when the text ends without a stop string.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> strings_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace striate

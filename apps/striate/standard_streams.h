// Standard output and standard error of the program, from its first line to its last.
#pragma once

#include <streambuf>

#include "striate/base/safe_output.h"

namespace striate::app {

// While it lives, std::cout and std::cerr pass through the filter of base/safe_output.h. A standard stream that was
// closed before the program started is opened, so that no file of a command's own can take its place.
class StandardStreams {
 public:
  StandardStreams();
  StandardStreams(const StandardStreams&) = delete;
  StandardStreams& operator=(const StandardStreams&) = delete;
  ~StandardStreams();

  // Writes what is left. Throws ResourceError when standard output did not take everything (a full disk); where its
  // reader is gone, SIGPIPE ends the process, as it does when nothing holds that signal back.
  void finish();

 private:
  SafeOutput out_;
  SafeOutput err_;
  std::streambuf* old_out_;
  std::streambuf* old_err_;
};

}  // namespace striate::app

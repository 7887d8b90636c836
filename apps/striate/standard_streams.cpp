#include "apps/striate/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

// Opened in the wrong direction, so that any use of a stream that was closed still fails.
int open_if_closed() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(file, F_GETFD) < 0 && errno == EBADF) {
      ::open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
  return STDOUT_FILENO;
}

}  // namespace

StandardStreams::StandardStreams()
    : out_(open_if_closed()), err_(STDERR_FILENO), old_out_(std::cout.rdbuf(&out_)), old_err_(std::cerr.rdbuf(&err_)) {}

StandardStreams::~StandardStreams() {
  std::cout.flush();
  std::cerr.flush();
  std::cout.rdbuf(old_out_);
  std::cerr.rdbuf(old_err_);
}

void StandardStreams::finish() {
  out_.finish();
  if (out_.error() == 0) return;
  if (out_.error() == EPIPE) {
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  const bool full = out_.error() == ENOSPC || out_.error() == EDQUOT || out_.error() == EFBIG;
  throw resource_error(cat("standard output: ", std::strerror(out_.error())),
                       full ? "free some space, or send the output elsewhere" : "check where the output goes");
}

}  // namespace striate::app

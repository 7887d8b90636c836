// SIGINT and SIGTERM as a request: finish the step, save, then stop.
#pragma once

namespace striate {

// While an object lives, the first SIGINT or SIGTERM only sets a mark; a second ends the process at once, as usual.
// One at a time.
class StopRequest {
 public:
  StopRequest();
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  // The signal that came, or 0.
  int signal() const;
};

}  // namespace striate

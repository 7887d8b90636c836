// SIGINT and SIGTERM as a request to stop: finish the step, save, then end.
#pragma once

#include "striate/base/stop_flag.h"

namespace striate::app {

// While an object lives, the first SIGINT or SIGTERM only sets the flag, with its number as the reason; a second ends
// the process at once, as usual. One at a time.
class StopSignals {
 public:
  // `flag` must outlive this.
  explicit StopSignals(StopFlag& flag);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
};

}  // namespace striate::app

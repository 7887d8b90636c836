// A flag that ends long work early.
#pragma once

#include <atomic>

namespace striate {

// A mark that the work looks at now and then. It may be set from any thread and from a signal handler, which a
// std::stop_source may not.
class StopFlag {
 public:
  // `reason` is any number above 0, which the one who asks gives a meaning to, such as a signal's. The last one counts.
  void ask(int reason) noexcept { reason_.store(reason, std::memory_order_relaxed); }
  // 0 while nobody has asked.
  int reason() const noexcept { return reason_.load(std::memory_order_relaxed); }

 private:
  static_assert(std::atomic<int>::is_always_lock_free);
  std::atomic<int> reason_ = 0;
};

}  // namespace striate

#include "striate/data/worker_pool.h"

#include <system_error>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

WorkerPool::WorkerPool(int threads) {
  try {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {
    const std::size_t started = threads_.size();
    stop();
    throw resource_error(cat("the system cannot start more than ", started, " of ", threads, " threads"),
                         "give fewer threads (`data_threads`, `threads`), or raise ulimit -u");
  }
}

WorkerPool::~WorkerPool() {
  stop();
}

void WorkerPool::stop() {
  std::deque<std::function<void()>> soon;
  std::deque<std::function<void()>> later;
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
    soon.swap(soon_);
    later.swap(later_);
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void WorkerPool::add(Urgency urgency, std::function<void()> task) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopped_) return;  // the task goes, and with it the promise: its future says so
    (urgency == Urgency::kSoon ? soon_ : later_).push_back(std::move(task));
  }
  ready_.notify_one();
}

void WorkerPool::work() {
  while (true) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return stopped_ || !soon_.empty() || !later_.empty(); });
      if (stopped_) return;
      auto& queue = soon_.empty() ? later_ : soon_;
      task = std::move(queue.front());
      queue.pop_front();
    }
    task();
  }
}

}  // namespace striate

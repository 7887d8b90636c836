// A few background threads and the work that waits for them.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace striate {

enum class Urgency { kSoon, kLater };

// Threads that run what is submitted, the urgent before the rest, each in the order it came. Callers bound how much
// they submit.
class WorkerPool {
 public:
  explicit WorkerPool(int threads);
  // As stop().
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // What `work` returns or throws, once a thread has run it; std::future_error when the pool stopped before.
  template <typename Work>
  std::future<std::invoke_result_t<Work>> submit(Urgency urgency, Work work) {
    auto task = std::make_shared<std::packaged_task<std::invoke_result_t<Work>()>>(std::move(work));
    auto result = task->get_future();
    add(urgency, [task] { (*task)(); });
    return result;
  }

  // Finishes what runs, drops what waits, and refuses what comes.
  void stop();

 private:
  void add(Urgency urgency, std::function<void()> task);
  void work();

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> soon_;
  std::deque<std::function<void()>> later_;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace striate

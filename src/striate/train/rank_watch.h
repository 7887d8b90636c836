// Who of a group of processes still lives.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace striate {

// A thread that shows through a store that this rank lives, and notes when another shows nothing for half a minute,
// reports a failure, or the store itself (which rank 0 keeps) is gone.
class RankWatch {
 public:
  // `store` is used by this object alone: its calls may block for long.
  RankWatch(c10::intrusive_ptr<c10d::Store> store, int rank, int size);
  // Waits for the thread, unless it is stuck in a call to a store that does not answer.
  ~RankWatch();
  RankWatch(const RankWatch&) = delete;
  RankWatch& operator=(const RankWatch&) = delete;

  // What is wrong with the group ("rank 2 has shown no sign of life for 31 s"); nullopt while all is well.
  std::optional<std::string> problem() const;
  void report_failure(const std::string& message);
  // From now on others may leave.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace striate

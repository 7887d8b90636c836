// Which processes of a group are still alive.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace striate {

// A thread that shows through a store twice a second that this rank lives, and notes when another shows nothing for
// half a minute, reports a failure, or the store itself is gone. What one rank finds out it tells the others.
class RankWatch {
 public:
  // `store` is used by this object alone: its calls may block for long. `keeper` is the process that has the store:
  // "rank 0", or the launcher's name.
  RankWatch(c10::intrusive_ptr<c10d::Store> store, int rank, int size, std::string keeper);
  // Waits for the thread, unless it is stuck in a call to a store that does not answer.
  ~RankWatch();
  RankWatch(const RankWatch&) = delete;
  RankWatch& operator=(const RankWatch&) = delete;

  // What is wrong with the group ("rank 2 has shown no sign of life for 31 s"); nullopt while all is well.
  std::optional<std::string> problem() const;
  // What is wrong, when a connection to a rank has broken: waits some seconds, until it is known which rank no longer
  // shows that it lives ("rank 1 has ended") or what one of them says; nullopt when all of them live.
  std::optional<std::string> problem_behind_break();
  // Tells the others why this rank ends. The rank that keeps the store then stays until they have heard, for a few
  // seconds at most.
  void report_failure(const std::string& message);
  // From now on others may leave.
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace striate

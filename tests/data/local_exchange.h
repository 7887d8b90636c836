// Ranks as threads of one process, and texts between them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/ranks/rank_exchange.h"

namespace striate::test {

// What the ranks of one group share.
struct LocalGroup {
  explicit LocalGroup(std::size_t size) : texts(size) {}
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> texts;
  std::vector<std::string> last;
  std::size_t waiting = 0;
  std::size_t round = 0;
};

class LocalExchange final : public RankExchange {
 public:
  LocalExchange(std::shared_ptr<LocalGroup> group, int rank) : group_(std::move(group)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(group_->texts.size()); }
  std::vector<std::string> all(const std::string& mine, const std::stop_token& stop) override {
    const std::stop_callback wake(stop, [this] { group_->changed.notify_all(); });
    std::unique_lock lock(group_->mutex);
    const std::size_t round = group_->round;
    group_->texts[static_cast<std::size_t>(rank_)] = mine;
    if (++group_->waiting == group_->texts.size()) {
      group_->last = group_->texts;
      group_->waiting = 0;
      ++group_->round;
      group_->changed.notify_all();
    }
    while (group_->round == round && !stop.stop_requested()) {
      group_->changed.wait_for(lock, std::chrono::milliseconds(5));
    }
    if (group_->round == round) throw resource_error("stopped");
    return group_->last;
  }

 private:
  std::shared_ptr<LocalGroup> group_;
  int rank_;
};

}  // namespace striate::test

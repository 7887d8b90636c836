// Texts between ranks through the store that they met at: host memory alone, whatever the backend's device is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "striate/ranks/rank_exchange.h"

namespace striate {

// What to do where another rank has failed or ended.
inline constexpr const char* kOthersHint =
    "see that rank's own messages; then start the same command again with `resume`";

class StoreExchange final : public RankExchange {
 public:
  // `store` is a connection of this object's own: its calls may block. Exchanges of one name belong together.
  // `problem` tells what is wrong with the group, if anything is (rank_watch.h); it must outlive the object.
  StoreExchange(c10::intrusive_ptr<c10d::Store> store, std::string name, int rank, int size,
                std::function<std::optional<std::string>()> problem);

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  // A store that no longer answers holds up a thread that is left behind, and not the caller. After it has thrown, the
  // object is of no more use.
  std::vector<std::string> all(const std::string& mine, const std::stop_token& stop) override;

 private:
  c10::intrusive_ptr<c10d::Store> store_;
  std::string name_;
  int rank_;
  int size_;
  std::function<std::optional<std::string>()> problem_;
  std::int64_t round_ = 0;
};

}  // namespace striate

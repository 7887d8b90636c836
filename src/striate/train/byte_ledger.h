// How many bytes are alive in a computation that is followed step by step, and the most there were.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

namespace striate {

// Must outlive its blocks.
class ByteLedger {
 public:
  // Bytes that are alive as long as anyone holds this, as with a tensor; null holds none.
  using Block = std::shared_ptr<void>;

  ByteLedger() = default;
  ByteLedger(const ByteLedger&) = delete;
  ByteLedger& operator=(const ByteLedger&) = delete;

  Block hold(std::int64_t bytes) {
    now_ += bytes;
    most_ = std::max(most_, now_);
    return {this, [this, bytes](void* /*ledger*/) { now_ -= bytes; }};
  }
  // Alive for a moment.
  void touch(std::int64_t bytes) { hold(bytes); }
  std::int64_t most() const { return most_; }

 private:
  std::int64_t now_ = 0;
  std::int64_t most_ = 0;
};

}  // namespace striate

// Random choices drawn one after another, all of them a function of (seed, purpose, index).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "striate/base/random.h"

namespace striate::mini {

// One sequence of draws; sequences of different purposes or indices have nothing in common.
class Draws {
 public:
  Draws(std::uint64_t seed, std::string_view purpose, std::uint64_t index)
      : stream_(RandomStream(seed, purpose).bits(index), purpose) {}

  // Uniform in [0, 1).
  double uniform() { return stream_.uniform(next_++); }
  // Uniform in [low, high).
  double between(double low, double high) { return low + (high - low) * uniform(); }
  // 0 .. count - 1.
  int below(int count) { return static_cast<int>(uniform() * count); }
  bool chance(double share) { return uniform() < share; }

  template <typename T>
  const T& pick(const std::vector<T>& items) {
    return items[static_cast<std::size_t>(below(static_cast<int>(items.size())))];
  }

  template <typename T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) {
      std::swap(items[i - 1], items[static_cast<std::size_t>(below(static_cast<int>(i)))]);
    }
  }

 private:
  RandomStream stream_;
  std::uint64_t next_ = 0;
};

}  // namespace striate::mini

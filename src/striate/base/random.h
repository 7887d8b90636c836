// Random numbers that depend on nothing but their key: the same on every run, thread count and rank.
//
// A counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, in its idea; the
// mixing is SplitMix64's): value = f(seed, purpose, index), with no state to save or to share.
#pragma once

#include <cstdint>
#include <string_view>

namespace striate {

// A stream of random numbers for one purpose ("shuffle", "sample"): draws are addressed by index.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view purpose);
  // 64 random bits.
  std::uint64_t bits(std::uint64_t index) const;
  // Uniform in [0, 1), 53 bits.
  double uniform(std::uint64_t index) const;

 private:
  std::uint64_t key_;
};

}  // namespace striate

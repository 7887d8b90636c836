// The order of an epoch's samples.
#pragma once

#include <cstdint>
#include <vector>

namespace striate {

// A permutation of [0, size) by (seed, epoch) alone: Fisher-Yates whose draws are addressed by position (random.h).
// Without `shuffle` it is the file's order. 4 bytes a sample. Throws Unsupported beyond 2^32 samples.
std::vector<std::uint32_t> epoch_order(std::int64_t size, std::uint64_t seed, std::int64_t epoch, bool shuffle);

}  // namespace striate

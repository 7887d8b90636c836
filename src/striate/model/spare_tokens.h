// Streams of few different lengths.
//
// In bf16 on the CPU oneDNN writes machine code for every new number of rows, and keeps it: for streams of ever new
// lengths that costs a quarter of a training step of two thousand tokens, and 150 MB. So streams may end with a few
// tokens that nobody attends to and that have no target.
#pragma once

#include <cstdint>

#include "striate/model/packed_batch.h"
#include "striate/model/placement.h"

namespace striate {

// Rows that a pass chooses from a stream come in multiples of this where its tokens are spared.
inline constexpr std::int64_t kSpareRowStep = 32;

constexpr std::int64_t rounded_up(std::int64_t n, std::int64_t step) {
  return (n + step - 1) / step * step;
}

// Whether a model placed so gains by them.
bool wants_spare_tokens(const Placement& placement);

// The stream with spare tokens at its end, `at_least` so many, that make its length a multiple of 64: a sample of their
// own, where there are any.
PackedBatch with_spare_tokens(const PackedBatch& batch, std::int64_t at_least);

}  // namespace striate

// What PiSSA and OLoRA adapters started from.
//
// Such an adapter is trained beside W - scale B0 A0, where the product B0 A0 is computed from W before training and is
// the adapter's own start: W stays what it was at first. PEFT computes it again whenever it loads the adapter; so do
// we.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "striate/model/adapter_config.h"

namespace striate {

struct LowRankProduct {
  at::Tensor a;  // [rank, in] fp32
  at::Tensor b;  // [out, rank] fp32
};

// B0 and A0 for a weight [out, in], on the CPU. PiSSA: scale B0 A0 is the weight's best approximation of that rank,
// from the eigenvectors of W W^T (or W^T W, whichever is smaller) in fp64, which takes long for wide weights. OLoRA:
// B0 A0 = Q Q^T W, where Q is an orthonormal basis of the first `rank` columns. Throws Internal for kZero, CorruptData
// when the rank is more than the weight's.
LowRankProduct adapter_start(AdapterStart start, const at::Tensor& weight, std::int64_t rank, double scale);

}  // namespace striate

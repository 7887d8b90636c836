#include "striate/model/spare_tokens.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

namespace striate {
namespace {

constexpr std::int64_t kTokenStep = 64;

}  // namespace

bool wants_spare_tokens(const Placement& placement) {
  return placement.device.is_cpu() && placement.compute == Compute::kBFloat16;
}

PackedBatch with_spare_tokens(const PackedBatch& batch, std::int64_t at_least) {
  const std::int64_t tokens = batch.tokens();
  const std::int64_t spare = rounded_up(tokens + at_least, kTokenStep) - tokens;
  if (spare == 0) return batch;
  PackedBatch longer = batch;
  longer.token_ids = at::cat({batch.token_ids, at::zeros({spare}, batch.token_ids.options())});
  longer.positions = at::cat({batch.positions, at::arange(spare, batch.positions.options())});
  longer.cu_seqlens = at::cat({batch.cu_seqlens, at::full({1}, tokens + spare, batch.cu_seqlens.options())});
  if (!batch.sample_keys.empty()) longer.sample_keys.push_back(0);
  return longer;
}

}  // namespace striate

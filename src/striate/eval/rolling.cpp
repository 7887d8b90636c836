#include "striate/eval/rolling.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>

#include <algorithm>

#include "striate/model/packed_batch.h"

namespace striate {

double rolling_log_probability(const Lvlm& model, const std::vector<std::int64_t>& tokens, std::int64_t prefix,
                               std::int64_t window) {
  const at::NoGradGuard no_grad;
  const auto count = static_cast<std::int64_t>(tokens.size());
  const auto at = [&](std::int64_t place) { return place < 0 ? prefix : tokens[static_cast<std::size_t>(place)]; };
  double sum = 0;
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t end = std::min(done + window, count);
    // The input is at most `window` tokens before the last predicted one; the prefix stands before the first.
    const std::int64_t begin = done == 0 ? -1 : std::max<std::int64_t>(0, end - window - 1);
    std::vector<std::int64_t> ids, positions, targets, slots;
    for (std::int64_t place = begin; place + 1 < end; ++place) {
      ids.push_back(at(place));
      positions.push_back(place - begin);
      if (place + 1 < done) continue;
      targets.push_back(at(place + 1));
      slots.push_back(place - begin);
    }
    PackedBatch batch;
    batch.token_ids = at::tensor(ids, at::kLong);
    batch.positions = at::tensor(positions, at::kLong);
    batch.cu_seqlens = at::tensor(std::vector<std::int32_t>{0, static_cast<std::int32_t>(ids.size())}, at::kInt);
    batch.targets = at::tensor(targets, at::kLong);
    batch.target_slots = at::tensor(slots, at::kLong);
    sum -= model.target_nll(model.forward(batch), batch).sum(at::kDouble).item<double>();
    done = end;
  }
  return sum;
}

}  // namespace striate

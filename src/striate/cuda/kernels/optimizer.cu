// One optimiser step over all parameters, which lie side by side in flat tensors: the norm of the gradients, the
// judgement of it, and AdamW (Loshchilov and Hutter, arXiv 1711.05101). Nothing waits for the host: what the first two
// kernels find out, the third one reads.
#include "device.cuh"

// sums[b] = the sum of squares of the b-th `chunk` of values, in double: an fp32 square may overflow.
STRIATE_KERNEL square_sums(const float* values, double* sums, int64 count, int64 chunk) {
  const int64 first = blockIdx.x * chunk;
  const int here = static_cast<int>(count - first < chunk ? count - first : chunk);
  double sum = 0.0;
  over_columns<float>(here, is_wide(values + first), [&](auto width, int i) {
    const auto in = load<decltype(width)::kCount>(values + first + i);
    for (const float value : in.v) sum += static_cast<double>(value) * static_cast<double>(value);
  });
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// What a step knows about itself: tensor/optimizer_ops.h has the same list.
enum StepSlot { kNorm, kFactor, kApplied, kUpdates, kFirstCorrection, kSecondCorrection };

// One block. Norm and clipping factor of the gradients; whether norm and losses are finite and so the update is made;
// how many updates there are with it, and Adam's corrections for that many.
STRIATE_KERNEL
judge_gradients(double* step, const double* sums, int64 count, const double* losses, int64 loss_count, double max_norm,
                double beta1, double beta2) {
  double total = 0.0;
  for (int64 i = threadIdx.x; i < count; i += kThreads) total += sums[i];
  double bad = 0.0;  // how many losses are not finite
  for (int64 i = threadIdx.x; i < loss_count; i += kThreads) bad += losses[i] - losses[i] == 0.0 ? 0.0 : 1.0;
  total = block_sum(total);
  bad = block_sum(bad);
  if (threadIdx.x != 0) return;
  const double norm = sqrt(total);
  const bool applied = norm - norm == 0.0 && bad == 0.0;
  const double within = max_norm / (norm + 1e-6);
  step[kNorm] = norm;
  step[kFactor] = max_norm > 0.0 && within < 1.0 ? within : 1.0;
  step[kApplied] = applied ? 1.0 : 0.0;
  if (!applied) return;
  const double updates = step[kUpdates] + 1.0;
  step[kUpdates] = updates;
  step[kFirstCorrection] = 1.0 / (1.0 - pow(beta1, updates));
  step[kSecondCorrection] = 1.0 / sqrt(1.0 - pow(beta2, updates));
}

// Neighbouring elements that are updated alike: those before end[r] and behind end[r - 1] by settings number kind[r].
constexpr int kMostRanges = 256;
constexpr int kMostKinds = 8;
struct AdamRanges {
  int64 end[kMostRanges];
  unsigned char kind[kMostRanges];
  float rate[kMostKinds];
  float decay[kMostKinds];
};

// Elements [begin, count) of each tensor, whose ranges are `ranges`; `rounded` may be null.
STRIATE_KERNEL
adamw(float* values, float* first, float* second, BFloat16* rounded, const float* gradients, const double* step,
      int64 begin, int64 count, int64 chunk, float beta2, float rest1, float rest2, float eps, AdamRanges ranges) {
  if (step[kApplied] == 0.0) return;
  const float factor = static_cast<float>(step[kFactor]);
  const float correction1 = static_cast<float>(step[kFirstCorrection]);
  const float correction2 = static_cast<float>(step[kSecondCorrection]);
  const int64 from = begin + blockIdx.x * chunk;
  const int here = static_cast<int>(count - from < chunk ? count - from : chunk);
  int range = 0;
  const bool wide = is_wide(values + from) && is_wide(first + from) && is_wide(second + from) &&
                    is_wide(gradients + from) && (rounded == nullptr || is_wide(rounded + from));
  over_columns<float>(here, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    const int64 at = from + i;
    Values<kCount> value = load<kCount>(values + at);
    Values<kCount> m = load<kCount>(first + at);
    Values<kCount> v = load<kCount>(second + at);
    const Values<kCount> gradient = load<kCount>(gradients + at);
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      while (at + k >= ranges.end[range]) ++range;
      const float rate = ranges.rate[ranges.kind[range]];
      const float g = gradient.v[k] * factor;
      m.v[k] = fmaf(rest1, g - m.v[k], m.v[k]);
      v.v[k] = fmaf(rest2 * g, g, beta2 * v.v[k]);
      const float kept = value.v[k] - rate * ranges.decay[ranges.kind[range]] * value.v[k];
      value.v[k] = kept - rate * correction1 * m.v[k] / (sqrtf(v.v[k]) * correction2 + eps);
    }
    store(value, values + at);
    store(m, first + at);
    store(v, second + at);
    if (rounded == nullptr) return;
    if constexpr (kCount == 1) {
      narrow(value.v[0], rounded + at);
    } else {
      static_assert(kCount == 4);
      *reinterpret_cast<uint2*>(rounded + at) = {bf16_bits(value.v[0]) | (bf16_bits(value.v[1]) << 16),
                                                 bf16_bits(value.v[2]) | (bf16_bits(value.v[3]) << 16)};
    }
  });
}

// Cross-entropy at targets over a whole vocabulary, its gradient in place of the logits.
#include "device.cuh"

// The largest value so far, and the sum of exp(value - highest).
struct LogSum {
  float highest;
  float sum;
};

// A part without values, or of -inf alone, adds nothing; NaN and +inf make the sum NaN.
__device__ inline LogSum joined(LogSum a, LogSum b) {
  const float highest = b.highest > a.highest ? b.highest : a.highest;
  const float of_a = a.sum == 0.0F ? 0.0F : a.sum * expf(a.highest - highest);
  const float of_b = b.sum == 0.0F ? 0.0F : b.sum * expf(b.highest - highest);
  return {highest, of_a + of_b};
}

__device__ inline LogSum over_block(LogSum x) {
  STRIATE_SHARED(float, highest_of, kWarps);
  STRIATE_SHARED(float, sum_of, kWarps);
  const auto over_warp_of = [](LogSum value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
      const LogSum other = {__shfl_xor_sync(0xFFFFFFFFU, value.highest, distance),
                            __shfl_xor_sync(0xFFFFFFFFU, value.sum, distance)};
      // The lower lane's part first, so that both lanes find the same bits.
      value = (threadIdx.x & static_cast<unsigned>(distance)) == 0 ? joined(value, other) : joined(other, value);
    }
    return value;
  };
  x = over_warp_of(x);
  const unsigned lane = threadIdx.x % 32;
  if (lane == 0) {
    highest_of[threadIdx.x / 32] = x.highest;
    sum_of[threadIdx.x / 32] = x.sum;
  }
  __syncthreads();
  const bool there = lane < kWarps;
  x = {there ? highest_of[lane] : minus_infinity(), there ? sum_of[lane] : 0.0F};
  return over_warp_of(x);
}

// nll = log sum exp(logits) - logits[target]; then, unless scale is zero, logits = scale * (softmax - onehot). One
// block for each row.
template <typename T>
__device__ inline void cross_entropy(T* logits, const int64* targets, float* nll, int columns, float scale) {
  logits += static_cast<int64>(blockIdx.x) * columns;
  const bool wide = is_wide(logits);
  LogSum part = {minus_infinity(), 0.0F};
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    const Values<kCount> in = load<kCount>(logits + i);
    float highest = part.highest;
#pragma unroll
    for (int k = 0; k < kCount; ++k) highest = in.v[k] > highest ? in.v[k] : highest;
    // Where only -inf was seen, exp(-inf - 0) is what it must be, 0; and a NaN stays one.
    const float base = highest == minus_infinity() ? 0.0F : highest;
    float sum = part.sum == 0.0F ? 0.0F : part.sum * expf(part.highest - base);
#pragma unroll
    for (int k = 0; k < kCount; ++k) sum += expf(in.v[k] - base);
    part = {highest, sum};
  });
  const float at_target = widen(logits[targets[blockIdx.x]]);
  const LogSum whole = over_block(part);  // behind its barrier no logit is overwritten before at_target is read
  if (threadIdx.x == 0) nll[blockIdx.x] = whole.highest - at_target + logf(whole.sum);
  if (scale == 0.0F) return;
  const float share = scale / whole.sum;
  over_columns<T>(columns, wide, [&](auto width, int i) {
    constexpr int kCount = decltype(width)::kCount;
    Values<kCount> out = load<kCount>(logits + i);
    const int64 target = targets[blockIdx.x] - i;
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      out.v[k] = expf(out.v[k] - whole.highest) * share;
      if (target == k) out.v[k] = (expf(at_target - whole.highest) / whole.sum - 1.0F) * scale;
    }
    store(out, logits + i);
  });
}

STRIATE_KERNEL
cross_entropy_f32(float* logits, const int64* targets, float* nll, int columns, float scale) {
  cross_entropy(logits, targets, nll, columns, scale);
}
STRIATE_KERNEL
cross_entropy_bf16(BFloat16* logits, const int64* targets, float* nll, int columns, float scale) {
  cross_entropy(logits, targets, nll, columns, scale);
}

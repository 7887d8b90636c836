// Rotary positions (Su et al., arXiv 2104.09864) in place: pairs (i, i + half) of every head, Hugging Face's
// rotate_half.
#include "device.cuh"

// x [tokens, heads, 2 * half] with strides; cos and sin [tokens, half]. `sign` -1 turns back: the gradient's way.
// One block for each token.
template <typename T>
__device__ inline void rotate(T* x, const float* cosine, const float* sine, int heads, int half, int64 token_stride,
                              int64 head_stride, float sign) {
  x += blockIdx.x * token_stride;
  cosine += static_cast<int64>(blockIdx.x) * half;
  sine += static_cast<int64>(blockIdx.x) * half;
  const auto turn = [&](auto width, int head, int i) {
    constexpr int kCount = decltype(width)::kCount;
    T* first = x + head * head_stride + i;
    const Values<kCount> a = load<kCount>(first);
    const Values<kCount> b = load<kCount>(first + half);
    const Values<kCount> c = load<kCount>(cosine + i);
    const Values<kCount> s = load<kCount>(sine + i);
    Values<kCount> out_a, out_b;
#pragma unroll
    for (int k = 0; k < kCount; ++k) {
      const float along = sign * s.v[k];
      out_a.v[k] = a.v[k] * c.v[k] - b.v[k] * along;
      out_b.v[k] = b.v[k] * c.v[k] + a.v[k] * along;
    }
    store(out_a, first);
    store(out_b, first + half);
  };
  constexpr int kWide = Lanes<T>::kCount;
  const bool wide = is_wide(x) && is_wide(cosine) && is_wide(sine) && half % kWide == 0 && head_stride % kWide == 0;
  const int lanes = wide ? kWide : 1;
  const int groups = half / lanes;
  for (int i = static_cast<int>(threadIdx.x); i < heads * groups; i += kThreads) {
    const int head = i / groups;
    const int at = (i - head * groups) * lanes;
    if (wide) {
      turn(Width<kWide>(), head, at);
    } else {
      turn(Width<1>(), head, at);
    }
  }
}

STRIATE_KERNEL
rotate_f32(float* x, const float* cosine, const float* sine, int heads, int half, int64 token_stride, int64 head_stride,
           float sign) {
  rotate(x, cosine, sine, heads, half, token_stride, head_stride, sign);
}
STRIATE_KERNEL
rotate_bf16(BFloat16* x, const float* cosine, const float* sine, int heads, int half, int64 token_stride,
            int64 head_stride, float sign) {
  rotate(x, cosine, sine, heads, half, token_stride, head_stride, sign);
}

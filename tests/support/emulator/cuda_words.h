// The words of CUDA that the kernels use, in plain C++ over a Block. Included before a kernel's source, in the same
// namespace.
#pragma once

#include <cmath>
#include <cstring>

#include "tests/support/emulator/block.h"

#define STRIATE_EMULATED
#define STRIATE_KERNEL static void
#define STRIATE_SHARED(type, name, count) \
  static const char name##_name = 0;      \
  type* const name =                      \
      static_cast<type*>(::striate::emulated::Block::current().shared(&name##_name, sizeof(type) * (count)))
#define __device__

namespace striate::emulated {

// Read through pointers to other types, as on a GPU.
struct __attribute__((may_alias, aligned(8))) uint2 {
  unsigned x, y;
};
struct __attribute__((may_alias, aligned(16))) uint4 {
  unsigned x, y, z, w;
};

struct ThreadIndex {
  struct X {
    operator unsigned() const { return Block::current().thread(); }
  };
  X x;
};
struct BlockIndex {
  struct X {
    operator unsigned() const { return Block::current().index(); }
  };
  X x;
};
inline constexpr ThreadIndex threadIdx;
inline constexpr BlockIndex blockIdx;

inline void __syncthreads() {
  Block::current().barrier();
}

template <typename Number>
Number __shfl_xor_sync(unsigned /*mask*/, Number value, int distance) {
  Block& block = Block::current();
  block.exchange(&value, sizeof value, block.thread() % kWarp ^ static_cast<unsigned>(distance));
  return value;
}

inline float __uint_as_float(unsigned bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned __float_as_uint(float value) {
  unsigned bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

using ::expf;
using ::fmaf;
using ::logf;
using ::sqrtf;
using std::pow;
using std::sqrt;

}  // namespace striate::emulated

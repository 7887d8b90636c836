// What the launchers share: lengths of rows, names of kernels by type, rows as the kernels read them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <limits>
#include <string>

#include "striate/base/error.h"

namespace striate::cuda {

inline constexpr std::int64_t kAccessBytes = 16;  // what one thread reads at a time

// The elements of a row, which the kernels count in 32 bits.
inline int row_length(const at::Tensor& x) {
  if (x.size(-1) > std::numeric_limits<int>::max() / 2) throw internal_error("a row of too many elements");
  return static_cast<int>(x.size(-1));
}

// "rms_norm" for a type: "rms_norm_bf16".
inline std::string kernel_for(const char* name, at::ScalarType type) {
  if (type == at::kFloat) return std::string(name) + "_f32";
  if (type == at::kBFloat16) return std::string(name) + "_bf16";
  throw internal_error(std::string(name) + ": no kernel for this type");
}

// `x` itself where the elements of a row lie side by side, else a copy.
inline at::Tensor with_dense_rows(const at::Tensor& x) {
  return x.stride(-1) == 1 || x.size(-1) <= 1 ? x : x.contiguous();
}

}  // namespace striate::cuda

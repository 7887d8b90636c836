#include <ATen/ops/empty.h>

#include <tuple>

#include "striate/cuda/launch_shape.h"
#include "striate/cuda/launchers.h"

namespace striate::cuda {
namespace {

constexpr std::string_view kQuantized = "quantized";

const unsigned char* bytes_from(const at::Tensor& codes, std::int64_t element) {
  return static_cast<const unsigned char*>(codes.const_data_ptr()) + element;
}

}  // namespace

void dequantize(KernelRunner& runner, const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse,
                std::int64_t first, const at::Tensor& to) {
  if (!to.is_contiguous()) throw internal_error("weights are read into dense rows");
  const int columns = row_length(to);
  if (codes.scalar_type() == at::kByte) {
    constexpr std::int64_t kChunk = 8192;  // kNf4Chunk in kernels/quantized.cu
    const std::int64_t count = to.numel();
    return run_kernel(runner, kQuantized, kernel_for("dequantize_nf4", to.scalar_type()), (count + kChunk - 1) / kChunk,
                      bytes_from(codes, 0), bytes_from(scales, 0), coarse.const_data_ptr<float>(),
                      to.mutable_data_ptr(), first * columns, count);
  }
  const char* kernel = codes.scalar_type() == at::kChar ? "dequantize_int8" : "dequantize_fp8";
  run_kernel(runner, kQuantized, kernel_for(kernel, to.scalar_type()), to.size(0), bytes_from(codes, first * columns),
             scales.const_data_ptr<float>() + first, to.mutable_data_ptr(), columns);
}

std::tuple<at::Tensor, at::Tensor> quantize_rows(KernelRunner& runner, const at::Tensor& x) {
  const at::Tensor rows = x.contiguous();
  at::Tensor codes = at::empty(x.sizes(), x.options().dtype(at::kFloat8_e4m3fn));
  at::Tensor scales = at::empty({x.size(0), 1}, x.options().dtype(at::kFloat));
  run_kernel(runner, kQuantized, kernel_for("quantize_rows", x.scalar_type()), x.size(0), rows.const_data_ptr(),
             codes.mutable_data_ptr(), scales.mutable_data_ptr<float>(), row_length(x));
  return {codes, scales};
}

}  // namespace striate::cuda

#include "striate/tensor/fp8_product.h"

#include <ATen/ops/_scaled_mm.h>

#include <map>
#include <mutex>
#include <optional>

#include "striate/cuda/compute_capability.h"

namespace striate {
namespace {

constexpr int kFirstWithFp8 = 89;
constexpr std::int64_t kWidth = 16;  // LibTorch multiplies multiples of this

}  // namespace

bool has_fp8_units(at::Device device) {
  if (device.is_cpu()) return false;
  if (!device.is_cuda()) return true;  // some other accelerator
  static std::mutex mutex;
  static std::map<int, bool> devices;
  const std::lock_guard lock(mutex);
  const auto known = devices.find(device.index());
  if (known != devices.end()) return known->second;
  return devices[device.index()] = cuda::compute_capability(device.index()).value_or(0) >= kFirstWithFp8;
}

bool fits_fp8_units(std::int64_t out, std::int64_t in) {
  return out % kWidth == 0 && in % kWidth == 0;
}

bool multiplies_fp8(const at::Tensor& rows, const QuantizedMatrix& weight) {
  return rows.scalar_type() == at::kBFloat16 && rows.size(0) > 0 && fits_fp8_units(weight.rows(), weight.columns()) &&
         has_fp8_units(rows.device());
}

at::Tensor fp8_product(const at::Tensor& rows, const QuantizedMatrix& weight, const at::Tensor& bias) {
  const QuantizedRows x = quantize_rows(rows);
  std::optional<at::Tensor> typed;
  if (bias.defined()) typed = bias.to(at::kBFloat16);
  return at::_scaled_mm(x.codes, weight.codes().t(), x.scales, weight.scales().unsqueeze(0), typed,
                        /*scale_result=*/std::nullopt, at::kBFloat16, /*use_fast_accum=*/true);
}

}  // namespace striate

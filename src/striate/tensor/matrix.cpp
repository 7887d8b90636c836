#include "striate/tensor/matrix.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/kernels/dispatch.h"
#include "striate/tensor/parallel.h"
#include "striate/tensor/storage.h"

namespace striate {
namespace {

// Weight elements one parallel task reads at least: enough that starting it costs nothing beside.
constexpr std::int64_t kTaskElements = 1 << 16;

std::int64_t rows_per_task(std::int64_t columns) {
  return std::max<std::int64_t>(1, kTaskElements / std::max<std::int64_t>(1, columns));
}

// Few tokens: every weight row is read once, by one thread.
at::Tensor skinny_product(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor wide = x.to(at::kFloat).contiguous();
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, wide.options());
  SkinnyProduct job{};
  job.weight = weight.const_data_ptr();
  job.storage = storage_of(weight);
  job.x = wide.const_data_ptr<float>();
  job.y = y.data_ptr<float>();
  job.columns = weight.size(1);
  job.tokens = x.size(0);
  job.y_stride = weight.size(0);
  parallel_ranges(weight.size(0), rows_per_task(job.columns), [&](std::int64_t begin, std::int64_t end) {
    SkinnyProduct part = job;
    part.row_begin = begin;
    part.row_end = end;
    cpu_kernels().skinny_product(part);
  });
  return y;
}

// `from` in the type of `to`, which is fp32 or bf16; both are dense.
void convert_rows(const at::Tensor& from, const at::Tensor& to) {
  const std::int64_t columns = from.size(1);
  const auto* source = static_cast<const std::byte*>(from.const_data_ptr());
  const Storage storage = storage_of(from);
  parallel_ranges(from.size(0), rows_per_task(columns), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t offset = begin * columns;
    const std::int64_t count = (end - begin) * columns;
    const void* part = source + offset * from.element_size();
    if (to.scalar_type() == at::kFloat) {
      cpu_kernels().widen(part, storage, to.mutable_data_ptr<float>() + offset, count);
    } else {
      cpu_kernels().narrow(part, storage, static_cast<std::uint16_t*>(to.mutable_data_ptr()) + offset, count);
    }
  });
}

// Many tokens, weights of another type than the product's: a block of rows at a time is converted and multiplied, so
// that no second copy of the weight ever exists.
at::Tensor blocked_product(const at::Tensor& x, const at::Tensor& weight) {
  const std::int64_t rows = weight.size(0);
  const std::int64_t columns = weight.size(1);
  const std::int64_t row_bytes = std::max<std::int64_t>(1, columns * x.element_size());
  const std::int64_t block = std::clamp<std::int64_t>(kConvertedBytes / row_bytes, 1, rows);
  at::Tensor y = at::empty({x.size(0), rows}, x.options());
  const at::Tensor buffer = at::empty({block, columns}, x.options());
  for (std::int64_t first = 0; first < rows; first += block) {
    const std::int64_t count = std::min(block, rows - first);
    const at::Tensor converted = buffer.slice(0, 0, count);
    convert_rows(weight.slice(0, first, first + count), converted);
    at::Tensor part = y.slice(1, first, first + count);
    if (x.scalar_type() == at::kFloat) {
      at::mm_out(part, x, converted.t());
    } else {
      // LibTorch's bf16 product into a part with gaps between its rows can be several times slower than a copy.
      part.copy_(at::linear(x, converted));
    }
  }
  return y;
}

// onto += dy W, W converted a block of rows at a time.
void add_blocked_gradient(const at::Tensor& onto, const at::Tensor& dy, const at::Tensor& weight) {
  const std::int64_t rows = weight.size(0);
  const std::int64_t columns = weight.size(1);
  const std::int64_t row_bytes = std::max<std::int64_t>(1, columns * dy.element_size());
  const std::int64_t block = std::clamp<std::int64_t>(kConvertedBytes / row_bytes, 1, rows);
  const at::Tensor buffer = at::empty({block, columns}, dy.options());
  for (std::int64_t first = 0; first < rows; first += block) {
    const std::int64_t count = std::min(block, rows - first);
    const at::Tensor converted = buffer.slice(0, 0, count);
    convert_rows(weight.slice(0, first, first + count), converted);
    onto.addmm_(dy.slice(1, first, first + count), converted);
  }
}

at::Tensor plain_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  std::optional<at::Tensor> typed;
  if (bias.defined()) typed = bias.to(x.scalar_type());
  return at::linear(x, weight, typed);
}

at::Tensor many_tokens(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, at::ScalarType dtype) {
  // Without hardware for it LibTorch's bf16 product runs at an eighth of fp32's speed: multiply in fp32, round after.
  const at::ScalarType inner = dtype == at::kBFloat16 && !has_fast_bf16() ? at::kFloat : dtype;
  const at::Tensor input = x.to(inner).contiguous();
  if (weight.scalar_type() == inner) return plain_product(input, weight, bias);
  const at::Tensor y = blocked_product(input, weight);
  return bias.defined() ? y.add_(bias) : y;
}

}  // namespace

Storage storage_of(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return Storage::kFloat32;
    case at::kBFloat16:
      return Storage::kBFloat16;
    case at::kHalf:
      return Storage::kFloat16;
    default:
      throw internal_error(cat("no CPU loop reads ", c10::toString(tensor.scalar_type())));
  }
}

Compute best_compute(at::Device device) {
  if (!device.is_cpu()) return Compute::kBFloat16;
  return has_fast_bf16() ? Compute::kBFloat16 : Compute::kFloat32;
}

std::string compute_name(Compute compute) {
  return compute == Compute::kBFloat16 ? "bf16" : "fp32";
}

at::ScalarType compute_dtype(Compute compute) {
  return compute == Compute::kBFloat16 ? at::kBFloat16 : at::kFloat;
}

std::string cpu_description() {
  const CpuIsa isa = cpu_kernels().isa;
  const char* loops = isa == CpuIsa::kAvx512Bf16 || isa == CpuIsa::kAmx ? "AVX512" : cpu_kernels().name;
  const char* matrix = has_amx() ? " with AMX" : has_fast_bf16() ? " with BF16" : "";
  const int threads = at::get_num_threads();
  return cat(loops, matrix, ", ", threads, threads == 1 ? " thread" : " threads");
}

FrozenMatrix::FrozenMatrix(at::Tensor weight, at::Tensor bias) : weight_(std::move(weight)), bias_(std::move(bias)) {
  if (weight_.dim() != 2 || (bias_.defined() && (bias_.dim() != 1 || bias_.size(0) != weight_.size(0)))) {
    throw internal_error(cat("a matrix of shape ", weight_.sizes()));
  }
  weight_ = weight_.contiguous();
}

at::Tensor FrozenMatrix::multiply(const at::Tensor& x, Compute compute) const {
  if (x.dim() < 1 || x.size(-1) != in_features()) {
    throw internal_error(cat("x ", x.sizes(), " times a frozen matrix ", weight_.sizes()));
  }
  const at::ScalarType dtype = compute_dtype(compute);
  if (!weight_.device().is_cpu()) return plain_product(x.to(dtype), weight_.to(dtype), bias_);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = out_features();
  if (x.numel() == 0) return at::zeros(shape, x.options().dtype(dtype));
  const at::Tensor rows = x.reshape({-1, in_features()});
  if (rows.size(0) > kMaxSkinnyTokens) return many_tokens(rows, weight_, bias_, dtype).to(dtype).view(shape);
  at::Tensor y = skinny_product(rows, weight_);
  if (bias_.defined()) y.add_(bias_);
  return y.to(dtype).view(shape);
}

at::Tensor FrozenMatrix::input_gradient(const at::Tensor& dy, Compute compute, at::Tensor onto) const {
  if (dy.dim() != 2 || dy.size(1) != out_features()) {
    throw internal_error(cat("a gradient ", dy.sizes(), " of a frozen matrix ", weight_.sizes()));
  }
  const at::ScalarType dtype = compute_dtype(compute);
  const at::ScalarType inner = dy.device().is_cpu() && dtype == at::kBFloat16 && !has_fast_bf16() ? at::kFloat : dtype;
  const at::Tensor gradient = dy.to(inner);
  if (!dy.device().is_cpu() || weight_.scalar_type() == inner) {
    const at::Tensor weight = weight_.to(inner);
    if (onto.defined() && onto.scalar_type() == inner) return onto.addmm_(gradient, weight);
    const at::Tensor result = at::mm(gradient, weight);
    return onto.defined() ? onto.add_(result) : result.to(dtype);
  }
  if (onto.defined() && onto.scalar_type() == inner) {
    add_blocked_gradient(onto, gradient, weight_);
    return onto;
  }
  const at::Tensor result = at::zeros({dy.size(0), in_features()}, gradient.options());
  add_blocked_gradient(result, gradient, weight_);
  return onto.defined() ? onto.add_(result) : result.to(dtype);
}

}  // namespace striate

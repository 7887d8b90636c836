#include "striate/tensor/matrix.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fp8_product.h"
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

// y rows [first, first + rows) of few tokens: every weight row is read once, by one thread.
void skinny_rows(const at::Tensor& x, const at::Tensor& weight, std::int64_t first, const at::Tensor& y) {
  SkinnyProduct job{};
  job.weight = weight.const_data_ptr();
  job.storage = storage_of(weight);
  job.x = x.const_data_ptr<float>();
  job.y = y.data_ptr<float>() + first;
  job.columns = weight.size(1);
  job.tokens = x.size(0);
  job.y_stride = y.size(1);
  job.row_end = weight.size(0);
  cpu_kernels().skinny_product(job);
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

// Fills dense rows of `to` with those of a weight from `first` on.
using ReadRows = std::function<void(std::int64_t first, const at::Tensor& to)>;

// body(first, rows in the type of `like`) over blocks of a weight [rows, columns], in one buffer: no second copy of the
// weight ever exists.
template <typename Body>
void over_blocks(std::int64_t rows, std::int64_t columns, const at::TensorOptions& like, const ReadRows& read,
                 Body body) {
  const auto element = static_cast<std::int64_t>(like.dtype().itemsize());
  const std::int64_t row_bytes = std::max<std::int64_t>(1, columns * element);
  const std::int64_t block = std::clamp<std::int64_t>(kConvertedBytes / row_bytes, 1, rows);
  const at::Tensor buffer = at::empty({block, columns}, like);
  for (std::int64_t first = 0; first < rows; first += block) {
    const at::Tensor converted = buffer.slice(0, 0, std::min(block, rows - first));
    read(first, converted);
    body(first, converted);
  }
}

// Many tokens, weights of another type than the product's.
at::Tensor blocked_product(const at::Tensor& x, std::int64_t rows, const ReadRows& read) {
  at::Tensor y = at::empty({x.size(0), rows}, x.options());
  over_blocks(rows, x.size(1), x.options(), read, [&](std::int64_t first, const at::Tensor& converted) {
    at::Tensor part = y.slice(1, first, first + converted.size(0));
    if (x.scalar_type() == at::kFloat) {
      at::mm_out(part, x, converted.t());
    } else {
      // LibTorch's bf16 product into a part with gaps between its rows can be several times slower than a copy.
      part.copy_(at::linear(x, converted));
    }
  });
  return y;
}

// onto += dy W.
void add_blocked_gradient(const at::Tensor& onto, const at::Tensor& dy, const ReadRows& read) {
  over_blocks(dy.size(1), onto.size(1), dy.options(), read, [&](std::int64_t first, const at::Tensor& converted) {
    onto.addmm_(dy.slice(1, first, first + converted.size(0)), converted);
  });
}

at::Tensor plain_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  std::optional<at::Tensor> typed;
  if (bias.defined()) typed = bias.to(x.scalar_type());
  return at::linear(x, weight, typed);
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
  return cat(loops, matrix, ", ", counted(at::get_num_threads(), "thread"));
}

FrozenMatrix::FrozenMatrix(at::Tensor weight, at::Tensor bias) : weight_(std::move(weight)), bias_(std::move(bias)) {
  if (weight_.dim() != 2 || (bias_.defined() && (bias_.dim() != 1 || bias_.size(0) != weight_.size(0)))) {
    throw internal_error(cat("a matrix of shape ", weight_.sizes()));
  }
  weight_ = weight_.contiguous();
}

FrozenMatrix::FrozenMatrix(std::shared_ptr<const QuantizedMatrix> weight, at::Tensor bias)
    : quantized_(std::move(weight)), bias_(std::move(bias)) {
  if (bias_.defined() && (bias_.dim() != 1 || bias_.size(0) != quantized_->rows())) {
    throw internal_error(cat("a bias of shape ", bias_.sizes()));
  }
}

const at::Tensor& FrozenMatrix::weight() const {
  if (quantized_) throw internal_error("the stored weight of a quantised matrix");
  return weight_;
}

at::Tensor FrozenMatrix::weight_as(at::ScalarType dtype) const {
  return quantized_ ? quantized_->dequantized(dtype) : weight_.to(dtype);
}

void FrozenMatrix::read_rows(std::int64_t first, const at::Tensor& to) const {
  if (quantized_) return quantized_->dequantize(first, to);
  convert_rows(weight_.slice(0, first, first + to.size(0)), to);
}

at::Tensor FrozenMatrix::device_product(const at::Tensor& x, at::ScalarType dtype) const {
  const at::Tensor input = x.to(dtype);
  if (!quantized_ || quantized_->precision() != FrozenPrecision::kFp8) {
    return plain_product(input, weight_as(dtype), bias_);
  }
  const at::Tensor rows = input.reshape({-1, in_features()});
  const at::Tensor y = multiplies_fp8(rows, *quantized_) ? fp8_product(rows, *quantized_, bias_)
                                                         : plain_product(rounded_rows(rows), weight_as(dtype), bias_);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = out_features();
  return y.view(shape);
}

at::Tensor FrozenMatrix::many_tokens(const at::Tensor& x, at::ScalarType dtype) const {
  // Without hardware for it LibTorch's bf16 product runs at an eighth of fp32's speed: multiply in fp32, round after.
  const at::ScalarType inner = dtype == at::kBFloat16 && !has_fast_bf16() ? at::kFloat : dtype;
  const at::Tensor input = x.to(inner).contiguous();
  if (!quantized_ && weight_.scalar_type() == inner) return plain_product(input, weight_, bias_);
  const at::Tensor y = blocked_product(input, out_features(),
                                       [this](std::int64_t first, const at::Tensor& to) { read_rows(first, to); });
  return bias_.defined() ? y.add_(bias_) : y;
}

at::Tensor FrozenMatrix::few_tokens(const at::Tensor& x) const {
  const at::Tensor wide = x.to(at::kFloat).contiguous();
  at::Tensor y = at::empty({x.size(0), out_features()}, wide.options());
  const std::int64_t grain = rows_per_task(in_features());
  parallel_ranges(out_features(), grain, [&](std::int64_t begin, std::int64_t end) {
    if (!quantized_) return skinny_rows(wide, weight_.slice(0, begin, end), begin, y);
    const at::Tensor buffer = at::empty({std::min(grain, end - begin), in_features()}, wide.options());
    for (std::int64_t first = begin; first < end; first += grain) {
      const at::Tensor rows = buffer.slice(0, 0, std::min(grain, end - first));
      quantized_->dequantize(first, rows);
      skinny_rows(wide, rows, first, y);
    }
  });
  return bias_.defined() ? y.add_(bias_) : y;
}

at::Tensor FrozenMatrix::multiply(const at::Tensor& x, Compute compute) const {
  if (x.dim() < 1 || x.size(-1) != in_features()) {
    throw internal_error(cat("x ", x.sizes(), " times a frozen matrix [", out_features(), ", ", in_features(), "]"));
  }
  const at::ScalarType dtype = compute_dtype(compute);
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = out_features();
  if (!device().is_cpu()) return device_product(x, dtype);
  if (x.numel() == 0) return at::zeros(shape, x.options().dtype(dtype));
  at::Tensor rows = x.reshape({-1, in_features()});
  if (quantized_ && quantized_->precision() == FrozenPrecision::kFp8) rows = rounded_rows(rows);
  const at::Tensor y = rows.size(0) > kMaxSkinnyTokens ? many_tokens(rows, dtype) : few_tokens(rows);
  return y.to(dtype).view(shape);
}

at::Tensor FrozenMatrix::input_gradient(const at::Tensor& dy, Compute compute, at::Tensor onto) const {
  if (dy.dim() != 2 || dy.size(1) != out_features()) {
    throw internal_error(
        cat("a gradient ", dy.sizes(), " of a frozen matrix [", out_features(), ", ", in_features(), "]"));
  }
  const at::ScalarType dtype = compute_dtype(compute);
  const bool on_cpu = dy.device().is_cpu();
  const at::ScalarType inner = on_cpu && dtype == at::kBFloat16 && !has_fast_bf16() ? at::kFloat : dtype;
  const at::Tensor gradient = dy.to(inner);
  const bool in_place = onto.defined() && onto.scalar_type() == inner;
  if (!on_cpu || (!quantized_ && weight_.scalar_type() == inner)) {
    const at::Tensor weight = weight_as(inner);
    if (in_place) return onto.addmm_(gradient, weight);
    const at::Tensor result = at::mm(gradient, weight);
    return onto.defined() ? onto.add_(result) : result.to(dtype);
  }
  const at::Tensor sum = in_place ? onto : at::zeros({dy.size(0), in_features()}, gradient.options());
  add_blocked_gradient(sum, gradient, [this](std::int64_t first, const at::Tensor& to) { read_rows(first, to); });
  if (in_place) return onto;
  return onto.defined() ? onto.add_(sum) : sum.to(dtype);
}

}  // namespace striate

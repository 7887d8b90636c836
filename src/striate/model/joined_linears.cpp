#include "striate/model/joined_linears.h"

#include <algorithm>
#include <utility>

namespace striate {
namespace {

const void* place_of(const at::Tensor& weight, std::int64_t row) {
  const auto bytes = static_cast<std::size_t>(row * weight.stride(0)) * weight.element_size();
  return static_cast<const char*>(weight.const_data_ptr()) + bytes;
}

}  // namespace

JoinedLinears::JoinedLinears(std::size_t first, std::size_t end, at::Tensor weight, at::Tensor bias)
    : first_(first), end_(end), matrix_(std::move(weight), std::move(bias)) {}

void JoinedLinears::look_at(std::span<const NamedLinear> linears) {
  hold_ = plain_ = true;
  begins_ = {0};
  for (std::size_t slot = first_; slot < end_; ++slot) {
    const Linear& linear = *linears[slot].second;
    const FrozenMatrix matrix = linear.matrix();
    hold_ = hold_ && !matrix.is_quantized() &&
            matrix.weight().const_data_ptr() == place_of(matrix_.weight(), begins_.back());
    plain_ = plain_ && dynamic_cast<const FrozenLinear*>(&linear) != nullptr;
    begins_.push_back(begins_.back() + matrix.out_features());
  }
  plain_ = plain_ && hold_;
}

std::vector<at::Tensor> JoinedLinears::products(std::size_t first, const at::Tensor& x, Compute compute) const {
  const auto skipped = static_cast<std::ptrdiff_t>(first - first_);
  const std::int64_t begin = begins_[static_cast<std::size_t>(skipped)];
  FrozenMatrix rows = matrix_;
  if (begin > 0) {
    rows = FrozenMatrix(matrix_.weight().slice(0, begin),
                        matrix_.bias().defined() ? matrix_.bias().slice(0, begin) : at::Tensor());
  }
  const at::Tensor all = rows.multiply(x, compute);
  std::vector<at::Tensor> parts;
  for (auto part = begins_.begin() + skipped; part + 1 != begins_.end(); ++part) {
    parts.push_back(all.slice(1, *part - begin, *(part + 1) - begin));
  }
  return parts;
}

at::Tensor JoinedLinears::input_gradient(const at::Tensor& dy, Compute compute) const {
  return matrix_.input_gradient(dy, compute);
}

at::Tensor side_by_side(const at::Tensor& a, const at::Tensor& b) {
  const bool beside = a.size(0) == b.size(0) && a.strides() == b.strides() && a.stride(1) == 1 && b.is_alias_of(a) &&
                      b.storage_offset() == a.storage_offset() + a.size(1);
  if (!beside) return {};
  return a.as_strided({a.size(0), a.size(1) + b.size(1)}, a.strides());
}

}  // namespace striate

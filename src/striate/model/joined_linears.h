// Linears that read the same rows, with their weights one below the other in memory: one product for all of them. Each
// is still there by itself, with its part of the weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "striate/model/linear.h"

namespace striate {

using NamedLinear = std::pair<std::string, std::shared_ptr<const Linear>>;

// The linears `first` to `end` of a layer.
class JoinedLinears {
 public:
  // `weight` [sum of out, in] and `bias` [sum of out] or undefined hold those of `linears`, in their order.
  JoinedLinears(std::size_t first, std::size_t end, at::Tensor weight, at::Tensor bias);

  std::size_t first() const { return first_; }
  std::size_t end() const { return end_; }

  // Looks at a layer's linears anew, of which some may have been replaced.
  void look_at(std::span<const NamedLinear> linears);
  // Whether every linear still has its part of the weights: frozen, or with an adapter beside it.
  bool hold() const { return hold_; }
  // Whether they have nothing else, so that the gradient of their input is one product, too.
  bool are_plain() const { return plain_; }

  // x W^T + b of the linears from `first` on: views of one tensor, side by side.
  std::vector<at::Tensor> products(std::size_t first, const at::Tensor& x, Compute compute) const;
  // The gradient of x, of dy [tokens, sum of out]; for plain linears.
  at::Tensor input_gradient(const at::Tensor& dy, Compute compute) const;

 private:
  std::size_t first_, end_;
  FrozenMatrix matrix_;
  std::vector<std::int64_t> begins_;  // of every linear's rows, and the end of the last
  bool hold_ = false;
  bool plain_ = false;
};

// [rows, a + b] of a [rows, a] and b [rows, b] that lie side by side in one tensor; undefined where they do not.
at::Tensor side_by_side(const at::Tensor& a, const at::Tensor& b);

}  // namespace striate

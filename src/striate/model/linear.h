// The linear maps of a model: frozen by type, frozen with a low-rank adapter, or trained.
//
// There is no autograd graph: a linear computes its own backward pass from its input and the tape of its forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "striate/model/parameter.h"
#include "striate/tensor/matrix.h"
#include "striate/tensor/train_ops.h"

namespace striate {

// The keys of dropout masks in a training step; the defaults mean no dropout.
struct DropoutKeys {
  std::uint64_t step_key = 0;  // of the seed and the step
  at::Tensor row_keys;         // [tokens] int64, of each token's sample and position; undefined: no dropout
};

// What a training forward pass keeps for the backward pass, besides its input.
struct LinearTape {
  at::Tensor low;  // x A^T of an adapter, [tokens, rank]
};

struct LinearForward {
  at::Tensor y;
  LinearTape tape;
};

// The inputs of a backward pass.
struct LinearBackward {
  at::Tensor dy;  // [tokens, out]
  at::Tensor x;   // the forward pass's input; read only by linears that train
  const LinearTape* tape = nullptr;
  const DropoutKeys* keys = nullptr;
  Compute compute = Compute::kFloat32;
  bool input_gradient = true;  // whether the gradient of x is wanted
  at::Tensor onto = {};        // where it is added, in place; undefined: a tensor of its own
  at::Tensor input_rows = {};  // [M] int64: of these rows of x alone; undefined: of all
};

// y = x W^T + b. x and y are [tokens, in] and [tokens, out] in compute_dtype(compute).
class Linear {
 public:
  virtual ~Linear() = default;
  virtual at::Tensor forward(const at::Tensor& x, Compute compute) const = 0;
  std::int64_t in_features() const { return matrix().in_features(); }
  std::int64_t out_features() const { return matrix().out_features(); }
  // The weight without adapters.
  virtual FrozenMatrix matrix() const = 0;

  // Whether a backward pass adds to parameters, for which it reads the forward pass's input.
  virtual bool trains() const { return false; }
  // The forward pass of a training step: dropout, and a tape.
  virtual LinearForward train_forward(const at::Tensor& x, Compute compute, const DropoutKeys& keys) const;
  // The same where x W^T + b is there already: `product`, which may be changed and become the result.
  virtual LinearForward train_forward_from(at::Tensor product, const at::Tensor& x, const DropoutKeys& keys) const;
  // Adds to the gradients of this linear's parameters and returns the gradient of x, [tokens or M, in] (undefined where
  // not wanted).
  virtual at::Tensor backward(LinearBackward in) const = 0;
};

// Weights that can have no gradient.
class FrozenLinear final : public Linear {
 public:
  explicit FrozenLinear(FrozenMatrix matrix) : matrix_(std::move(matrix)) {}
  at::Tensor forward(const at::Tensor& x, Compute compute) const override { return matrix_.multiply(x, compute); }
  FrozenMatrix matrix() const override { return matrix_; }
  at::Tensor backward(LinearBackward in) const override;

 private:
  FrozenMatrix matrix_;
};

// A frozen matrix and an adapter beside it: y = x W^T + b + scale (x' A^T) B^T, where x' is x with dropout while
// training (Hu et al., arXiv 2106.09685).
class LoraLinear final : public Linear {
 public:
  // a [rank, in], b [out, rank], fp32; scale = alpha / rank (or alpha / sqrt(rank), rank-stabilised). Throws
  // CorruptData when the shapes do not fit the matrix.
  LoraLinear(FrozenMatrix matrix, at::Tensor a, at::Tensor b, double scale);
  // The same with an adapter that is trained; `dropout` in [0, 1).
  LoraLinear(FrozenMatrix matrix, std::shared_ptr<Parameter> a, std::shared_ptr<Parameter> b, double scale,
             double dropout);
  at::Tensor forward(const at::Tensor& x, Compute compute) const override;
  FrozenMatrix matrix() const override { return matrix_; }
  LinearForward train_forward_from(at::Tensor product, const at::Tensor& x, const DropoutKeys& keys) const override;
  std::int64_t rank() const { return a_->value.size(0); }
  double scale() const { return scale_; }
  const at::Tensor& a() const { return a_->value; }
  const at::Tensor& b() const { return b_->value; }

  bool trains() const override { return trained_; }
  LinearForward train_forward(const at::Tensor& x, Compute compute, const DropoutKeys& keys) const override;
  at::Tensor backward(LinearBackward in) const override;

 private:
  void check_shapes() const;
  // The type thin products run in for activations of x's type.
  const at::Tensor& operand(const Parameter& parameter, const at::Tensor& x) const;
  DropoutMask mask(const DropoutKeys& keys) const;

  FrozenMatrix matrix_;
  std::shared_ptr<Parameter> a_;
  std::shared_ptr<Parameter> b_;
  double scale_;
  double dropout_ = 0;
  bool trained_ = false;
};

// Every weight trained.
class TrainedLinear final : public Linear {
 public:
  // weight [out, in]; bias [out] or null.
  TrainedLinear(std::shared_ptr<Parameter> weight, std::shared_ptr<Parameter> bias);
  at::Tensor forward(const at::Tensor& x, Compute compute) const override;
  FrozenMatrix matrix() const override;

  bool trains() const override { return true; }
  at::Tensor backward(LinearBackward in) const override;

 private:
  std::shared_ptr<Parameter> weight_;
  std::shared_ptr<Parameter> bias_;
};

}  // namespace striate

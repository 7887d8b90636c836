// Trained parameters: fp32 values with their fp32 gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "striate/tensor/matrix.h"

namespace striate {

// Parameters of one group share a learning rate.
enum class ParameterGroup { kProjector, kAdapter, kDecoder, kVisionTower };

// One trained tensor. The linear that computes with it and the optimiser that changes it hold it together.
struct Parameter {
  std::string name;  // canonical: model.layers.3.self_attn.q_proj.lora_A.weight, projector.0.weight, model.norm.weight
  ParameterGroup group = ParameterGroup::kAdapter;
  bool decays = true;   // whether weight decay applies: matrices yes, biases and norms no
  at::Tensor value;     // fp32, the master copy; undefined once drop_values() has dropped it
  at::Tensor gradient;  // fp32, the same shape: what backward passes add to
  at::Tensor rounded;   // bf16 copy of `value` that bf16 products read; undefined in fp32 compute
  // Whether training in bf16 reads the rounded copy alone, as it does of the matrices of linears.
  bool rounded_suffices = false;

  // The value as products of `compute` read it.
  const at::Tensor& operand(Compute compute) const { return compute == Compute::kBFloat16 ? rounded : value; }
};

// Every parameter of a run. Values and gradients lie in one flat tensor each, so that clipping, reducing across ranks
// and the optimiser see a single vector; each parameter's tensors are views of them.
class ParameterSet {
 public:
  ParameterSet() = default;
  // Moves the parameters' values into flat storage, in the order given; gradients start at zero. With bf16 compute
  // every parameter gets its rounded copy. Throws Internal for values that are not fp32, and for two of one name.
  ParameterSet(std::vector<std::shared_ptr<Parameter>> parameters, Compute compute);

  const std::vector<std::shared_ptr<Parameter>>& all() const { return parameters_; }
  std::int64_t count() const { return gradients_.defined() ? gradients_.numel() : 0; }
  const at::Tensor& values() const { return values_; }        // [count] fp32; undefined after drop_values()
  const at::Tensor& gradients() const { return gradients_; }  // [count] fp32
  const at::Tensor& rounded() const { return rounded_; }      // [count] bf16, or undefined in fp32 compute
  void zero_gradients();
  // Brings the rounded copies up to date; call after every change of the values.
  void refresh();
  // Drops the values of all parameters whose rounded copies suffice, for an optimiser that keeps them elsewhere; the
  // others' get memory of their own. False where nothing can be dropped: in fp32 compute, and with a vision tower,
  // whose weights are the values.
  bool drop_values();

 private:
  std::vector<std::shared_ptr<Parameter>> parameters_;
  at::Tensor values_;
  at::Tensor gradients_;
  at::Tensor rounded_;
};

}  // namespace striate

// One decoder block of Llama or Phi-3, for using and for training.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "striate/model/attention.h"
#include "striate/model/config.h"
#include "striate/model/joined_linears.h"
#include "striate/model/linear.h"
#include "striate/model/placement.h"
#include "striate/model/rotary.h"
#include "striate/model/weight.h"
#include "striate/model/weight_source.h"
#include "striate/tensor/stream_attention.h"

namespace striate {

// One linear of a decoder layer as published.
struct LinearShape {
  const char* name;  // inside the layer, without `.weight`: self_attn.q_proj
  std::int64_t out;
  std::int64_t in;
  bool bias;
};

// The linears of every layer: Llama's seven, or Phi-3's four fused ones.
std::vector<LinearShape> decoder_linears(const DecoderConfig& config);

// What one training step's layers share.
struct StreamContext {
  StreamShape shape;
  RotaryAngles angles;
  DropoutKeys dropout;
};

// Some of a stream's tokens. The last layer computes queries and outputs only for the rows that are read after it: of
// the others only keys and values are read.
struct RowChoice {
  at::Tensor rows;        // [K] int64, ascending
  StreamQueries queries;  // these rows as queries of attention
  RotaryAngles angles;    // of these rows
  DropoutKeys dropout;    // of these rows
};

// Which part of the gradient of a layer's input is computed: none, all [N, hidden], or only the rows [M] int64.
struct InputGradient {
  bool wanted = true;
  at::Tensor rows;
};

// What a layer's forward pass leaves for its backward pass: [N, ...] each, in the compute type. `x` is always there;
// an activation policy may drop the rest, to be computed again.
struct LayerTape {
  at::Tensor x;                     // the layer's input, [N, hidden]
  at::Tensor q, k, v;               // rotated, [N, heads or kv_heads, head_dim]
  StreamAttentionResult attention;  // out [N, heads, head_dim]
  at::Tensor middle;                // the stream after attention, [N, hidden]
  at::Tensor gate, up;              // the MLP's inner activations, [N, mlp]; side by side where one product made them
  std::vector<LinearTape> linears;  // as DecoderLayer::linears()
  // Where it is set, all but `x`, `k` and `v` hold these rows only, and so do the layer's output and its gradient.
  const RowChoice* choice = nullptr;
};

// A layer's output is middle + delta: the caller computes the sum, if possible fused with the next norm.
struct LayerOutput {
  at::Tensor middle;
  at::Tensor delta;

  at::Tensor sum() const;  // [N, hidden]
};

struct LayerForward : LayerOutput {
  LayerTape tape;
};

// One decoder block: pre-norm attention, pre-norm gated MLP, each added to the residual stream.
class DecoderLayer {
 public:
  DecoderLayer(const WeightSource& weights, const DecoderConfig& config, std::int64_t index,
               const Placement& placement);

  // Of x [N, hidden] in the compute type, or of x + delta where that is defined.
  LayerOutput forward(const at::Tensor& x, const at::Tensor& delta, const RotaryAngles& angles,
                      Attention& attention) const;

  // The forward pass of a training step on x, or on x + delta where that is defined; of the rows of `choice` where that
  // is not null, and then it must outlive the tape.
  LayerForward train_forward(const at::Tensor& x, const at::Tensor& delta, const StreamContext& context,
                             const RowChoice* choice = nullptr) const;
  // The tape again, from one that holds x alone.
  LayerTape recompute(LayerTape tape, const StreamContext& context) const;
  // The tape again, from one that lacks the MLP's part.
  LayerTape recompute_mlp(LayerTape tape, const StreamContext& context) const;
  // Adds to the gradients of the layer's parameters, given the output's gradient dy (which it may overwrite), and
  // returns the input's gradient as far as it is wanted.
  at::Tensor backward(at::Tensor dy, LayerTape tape, const StreamContext& context, const InputGradient& wanted) const;
  // Whether anything in the layer is trained.
  bool trains() const;

  // The linears of the block as published: self_attn.{q,k,v,o}_proj, mlp.{gate,up,down}_proj, or Phi-3's
  // self_attn.{qkv,o}_proj, mlp.{gate_up,down}_proj. Name without `.weight`.
  const std::vector<NamedLinear>& linears() const { return linears_; }
  // Puts another linear (an adapter around the same matrix) in the place of `name`. Throws Internal for other names.
  void replace_linear(const std::string& name, std::shared_ptr<const Linear> linear);
  // The layer's index in the decoder, which attention (a key-value cache) receives.
  void renumber(std::int64_t index) { index_ = index; }
  // input_layernorm and post_attention_layernorm, [hidden] fp32.
  Weight& input_norm() { return input_norm_; }
  Weight& post_attention_norm() { return post_attention_norm_; }

 private:
  struct Heads {
    at::Tensor q, k, v;
  };
  struct Gates {
    at::Tensor gate, up;
  };
  // x, or x + delta where that is defined, and its norm.
  struct Input {
    at::Tensor sum, normed;
  };
  Input input_of(const at::Tensor& x, const at::Tensor& delta) const;
  void load_linears(const WeightSource& weights, const std::string& prefix);
  const Linear& linear(std::size_t slot) const { return *linears_[slot].second; }
  bool fused() const { return config_.kind == DecoderKind::kPhi3; }
  // Whether the linear makes queries and nothing else, so that a choice of rows holds for it.
  bool asks_alone(std::size_t slot) const { return slot == 0 && !fused(); }
  // The slots of linears_ by what they do.
  std::size_t output_slot() const { return fused() ? 1 : 3; }
  std::size_t gate_slot() const { return fused() ? 2 : 4; }
  std::size_t down_slot() const { return linears_.size() - 1; }

  at::Tensor attention_block(const at::Tensor& x, const RotaryAngles& angles, Attention& attention) const;
  at::Tensor mlp_block(const at::Tensor& x) const;
  // Those of the slots `first` to `end`, whose weights lie together; null where they do not.
  const JoinedLinears* joined(std::size_t first, std::size_t end) const;
  // What these slots make of x, one result each.
  std::vector<LinearForward> run_linears(std::size_t first, std::size_t end, const at::Tensor& x,
                                         const DropoutKeys& dropout) const;
  std::vector<at::Tensor> outputs(std::size_t first, std::size_t end, const at::Tensor& x, const DropoutKeys& dropout,
                                  LayerTape* tape) const;
  // Of every token's q, k and v, or of q at the rows of `choice`; rotated where they lie.
  Heads split_heads(const std::vector<at::Tensor>& projected, const RotaryAngles& angles,
                    const RowChoice* choice = nullptr) const;

  Gates split_gates(const std::vector<at::Tensor>& projected) const;

  // Everything up to the MLP's inner activations, which are returned.
  at::Tensor forward_to_inner(const at::Tensor& normed, LayerTape& tape, const StreamContext& context) const;
  at::Tensor run_linear(std::size_t slot, const at::Tensor& x, LayerTape& tape, const DropoutKeys& dropout) const;
  at::Tensor linear_backward(std::size_t slot, const at::Tensor& dy, const at::Tensor& x, const LayerTape& tape,
                             const DropoutKeys& dropout, const InputGradient& input = {}, at::Tensor onto = {}) const;
  at::Tensor mlp_inner(const at::Tensor& normed, LayerTape& tape, const DropoutKeys& dropout) const;
  at::Tensor gates_backward(const at::Tensor& normed, const LayerTape& tape, const DropoutKeys& dropout) const;
  at::Tensor mlp_backward(at::Tensor dy, LayerTape& tape, const DropoutKeys& dropout) const;
  at::Tensor attention_backward(at::Tensor dy, LayerTape& tape, const StreamContext& context,
                                const InputGradient& wanted) const;
  // The gradients of what the projections put out, from those of the rotated heads, which are rotated back in place.
  std::vector<at::Tensor> unrotated(const StreamAttentionGradients& heads, const LayerTape& tape,
                                    const StreamContext& context) const;
  at::Tensor projections_backward(const std::vector<at::Tensor>& gradients, const LayerTape& tape,
                                  const StreamContext& context, const InputGradient& input) const;
  bool any_trains(std::size_t first_slot, std::size_t end_slot) const;

  DecoderConfig config_;
  std::int64_t index_;
  Placement placement_;
  Weight input_norm_;
  Weight post_attention_norm_;
  std::vector<NamedLinear> linears_;
  std::vector<JoinedLinears> joined_;
};

}  // namespace striate

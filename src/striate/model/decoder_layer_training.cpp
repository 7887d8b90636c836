// The forward and backward passes of training steps.
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include "striate/model/decoder_layer.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/train_ops.h"

namespace striate {
namespace {

void add_norm_weight_gradient(const Weight& weight, const at::Tensor& dy, const at::Tensor& x, double eps) {
  if (weight.parameter()) weight.parameter()->gradient.add_(rms_norm_weight_gradient(dy, x, eps));
}

// Of the rows that are chosen.
const DropoutKeys& chosen_dropout(const LayerTape& tape, const StreamContext& context) {
  return tape.choice == nullptr ? context.dropout : tape.choice->dropout;
}

const RotaryAngles& chosen_angles(const LayerTape& tape, const StreamContext& context) {
  return tape.choice == nullptr ? context.angles : tape.choice->angles;
}

const StreamQueries* chosen_queries(const LayerTape& tape) {
  return tape.choice == nullptr ? nullptr : &tape.choice->queries;
}

at::Tensor chosen_rows(const at::Tensor& x, const LayerTape& tape) {
  return tape.choice == nullptr ? x : x.index_select(0, tape.choice->rows);
}

// The gradient of chosen_rows, on all `tokens`.
at::Tensor spread_rows(const at::Tensor& dy, const LayerTape& tape, std::int64_t tokens) {
  if (tape.choice == nullptr) return dy;
  at::Tensor all = at::zeros({tokens, dy.size(1)}, dy.options());
  return all.index_copy_(0, tape.choice->rows, dy);
}

}  // namespace

bool DecoderLayer::any_trains(std::size_t first_slot, std::size_t end_slot) const {
  for (std::size_t slot = first_slot; slot < end_slot; ++slot) {
    if (linear(slot).trains()) return true;
  }
  return false;
}

bool DecoderLayer::trains() const {
  return any_trains(0, linears_.size()) || input_norm_.parameter() || post_attention_norm_.parameter();
}

at::Tensor DecoderLayer::run_linear(std::size_t slot, const at::Tensor& x, LayerTape& tape,
                                    const DropoutKeys& dropout) const {
  LinearForward result = linear(slot).train_forward(x, placement_.compute, dropout);
  tape.linears[slot] = std::move(result.tape);
  return result.y;
}

at::Tensor DecoderLayer::linear_backward(std::size_t slot, const at::Tensor& dy, const at::Tensor& x,
                                         const LayerTape& tape, const DropoutKeys& dropout, const InputGradient& input,
                                         at::Tensor onto) const {
  return linear(slot).backward(
      {dy, x, &tape.linears[slot], &dropout, placement_.compute, input.wanted, std::move(onto), input.rows});
}

// Gate and up go to the tape; what down reads is returned.
at::Tensor DecoderLayer::mlp_inner(const at::Tensor& normed, LayerTape& tape, const DropoutKeys& dropout) const {
  Gates gates = split_gates(outputs(gate_slot(), down_slot(), normed, dropout, &tape));
  tape.gate = std::move(gates.gate);
  tape.up = std::move(gates.up);
  return silu_multiply(tape.gate, tape.up);
}

at::Tensor DecoderLayer::forward_to_inner(const at::Tensor& normed, LayerTape& tape,
                                          const StreamContext& context) const {
  tape.linears.resize(linears_.size());
  const DropoutKeys& dropout = chosen_dropout(tape, context);
  std::vector<at::Tensor> projected;
  const bool q_apart = tape.choice != nullptr && asks_alone(0);
  if (q_apart) projected.push_back(run_linear(0, chosen_rows(normed, tape), tape, dropout));
  for (at::Tensor& y : outputs(projected.size(), output_slot(), normed, context.dropout, &tape)) {
    projected.push_back(std::move(y));
  }
  Heads heads = split_heads(projected, context.angles, tape.choice);
  tape.attention = stream_attention(heads.q, heads.k, heads.v, context.shape, chosen_queries(tape));
  tape.q = std::move(heads.q);
  tape.k = std::move(heads.k);
  tape.v = std::move(heads.v);
  const at::Tensor mixed = run_linear(output_slot(), tape.attention.out.flatten(1), tape, dropout);
  SumAndNorm middle = add_rms_norm(chosen_rows(tape.x, tape), mixed, post_attention_norm_.value(), config_.rms_eps);
  tape.middle = std::move(middle.sum);
  return mlp_inner(middle.normed, tape, dropout);
}

LayerForward DecoderLayer::train_forward(const at::Tensor& x, const at::Tensor& delta, const StreamContext& context,
                                         const RowChoice* choice) const {
  LayerForward result;
  LayerTape& tape = result.tape;
  tape.choice = choice;
  Input input = input_of(x, delta);
  tape.x = std::move(input.sum);
  const at::Tensor inner = forward_to_inner(input.normed, tape, context);
  result.middle = tape.middle;
  result.delta = run_linear(down_slot(), inner, tape, chosen_dropout(tape, context));
  return result;
}

LayerTape DecoderLayer::recompute(LayerTape tape, const StreamContext& context) const {
  const at::Tensor inner = forward_to_inner(rms_norm(tape.x, input_norm_.value(), config_.rms_eps), tape, context);
  // Of the last product only what an adapter leaves is read.
  if (linear(down_slot()).trains()) run_linear(down_slot(), inner, tape, chosen_dropout(tape, context));
  return tape;
}

LayerTape DecoderLayer::recompute_mlp(LayerTape tape, const StreamContext& context) const {
  mlp_inner(rms_norm(tape.middle, post_attention_norm_.value(), config_.rms_eps), tape, chosen_dropout(tape, context));
  return tape;
}

// dy is the gradient of the layer's output, and with it of `middle` past the MLP; returns the whole gradient of
// `middle`, in place.
at::Tensor DecoderLayer::mlp_backward(at::Tensor dy, LayerTape& tape, const DropoutKeys& dropout) const {
  at::Tensor inner, normed;  // made again only for linears that read them
  if (linear(down_slot()).trains()) inner = silu_multiply(tape.gate, tape.up);
  if (any_trains(gate_slot(), down_slot())) {
    normed = rms_norm(tape.middle, post_attention_norm_.value(), config_.rms_eps);
  }
  const at::Tensor dinner = linear_backward(down_slot(), dy, inner, tape, dropout);
  silu_multiply_backward(tape.gate, tape.up, dinner);  // which are their gradients from here on
  at::Tensor dnormed = gates_backward(normed, tape, dropout);
  for (at::Tensor* used : {&tape.gate, &tape.up}) used->reset();
  add_norm_weight_gradient(post_attention_norm_, dnormed, tape.middle, config_.rms_eps);
  add_rms_norm_gradient(dy, dnormed, tape.middle, post_attention_norm_.value(), config_.rms_eps);
  tape.middle.reset();
  return dy;
}

// The gradient of what gate and up read, from theirs, which the tape holds in their place.
at::Tensor DecoderLayer::gates_backward(const at::Tensor& normed, const LayerTape& tape,
                                        const DropoutKeys& dropout) const {
  const at::Tensor both = side_by_side(tape.gate, tape.up);
  if (fused()) return linear_backward(gate_slot(), both, normed, tape, dropout);
  const JoinedLinears* together = joined(gate_slot(), down_slot());
  if (together != nullptr && together->are_plain()) return together->input_gradient(both, placement_.compute);
  const at::Tensor dnormed = linear_backward(gate_slot(), tape.gate, normed, tape, dropout);
  return linear_backward(gate_slot() + 1, tape.up, normed, tape, dropout, {}, dnormed);
}

std::vector<at::Tensor> DecoderLayer::unrotated(const StreamAttentionGradients& heads, const LayerTape& tape,
                                                const StreamContext& context) const {
  // Rotating back: the same angles the other way.
  const RotaryAngles& q_angles = chosen_angles(tape, context);
  rotate_heads_back(heads.dq, q_angles.cos, q_angles.sin);
  rotate_heads_back(heads.dk, context.angles.cos, context.angles.sin);
  std::vector<at::Tensor> gradients = {heads.dq.flatten(1), heads.dk.flatten(1), heads.dv.flatten(1)};
  if (!fused()) return gradients;
  gradients[0] = spread_rows(gradients[0], tape, tape.x.size(0));
  return {at::cat(gradients, 1)};
}

// The gradient of what the projections read. That of every token comes first: queries of some are added to it.
at::Tensor DecoderLayer::projections_backward(const std::vector<at::Tensor>& gradients, const LayerTape& tape,
                                              const StreamContext& context, const InputGradient& input) const {
  at::Tensor normed;
  if (any_trains(0, output_slot())) normed = rms_norm(tape.x, input_norm_.value(), config_.rms_eps);
  at::Tensor dnormed;
  for (std::size_t slot = output_slot(); slot-- > 0;) {
    if (tape.choice == nullptr || !asks_alone(slot)) {
      dnormed = linear_backward(slot, gradients[slot], normed, tape, context.dropout, input, dnormed);
      continue;
    }
    const at::Tensor read = normed.defined() ? chosen_rows(normed, tape) : normed;
    const at::Tensor part = linear_backward(slot, gradients[slot], read, tape, tape.choice->dropout, input);
    // Rows that are chosen once: no sum in any order.
    if (part.defined()) {
      dnormed.index_copy_(0, tape.choice->rows, dnormed.index_select(0, tape.choice->rows).add_(part));
    }
  }
  return dnormed;
}

// dy is the gradient of `middle`; returns that of the layer's input, in place.
at::Tensor DecoderLayer::attention_backward(at::Tensor dy, LayerTape& tape, const StreamContext& context,
                                            const InputGradient& wanted) const {
  const at::Tensor dmixed =
      linear_backward(output_slot(), dy, tape.attention.out.flatten(1), tape, chosen_dropout(tape, context));
  dy = spread_rows(dy, tape, tape.x.size(0));
  const std::vector<at::Tensor> gradients =
      unrotated(stream_attention_gradients(dmixed.view(tape.q.sizes()), tape.q, tape.k, tape.v, tape.attention,
                                           context.shape, chosen_queries(tape)),
                tape, context);
  for (at::Tensor* used : {&tape.q, &tape.k, &tape.v, &tape.attention.out, &tape.attention.log_sums}) used->reset();
  const bool norm_trains = input_norm_.parameter() != nullptr;
  InputGradient input = wanted;
  // Every row counts for the norm's weights, and for adding chosen rows to.
  const bool all_first = norm_trains || tape.choice != nullptr;
  if (all_first) input.rows.reset();
  input.wanted = wanted.wanted || norm_trains;
  at::Tensor dnormed = projections_backward(gradients, tape, context, input);
  if (norm_trains) add_norm_weight_gradient(input_norm_, dnormed, tape.x, config_.rms_eps);
  if (!wanted.wanted) return {};
  const auto wanted_rows = [&](const at::Tensor& x) {
    return wanted.rows.defined() ? x.index_select(0, wanted.rows) : x;
  };
  if (all_first) dnormed = wanted_rows(dnormed);
  dy = wanted_rows(dy);
  add_rms_norm_gradient(dy, dnormed, wanted_rows(tape.x), input_norm_.value(), config_.rms_eps);
  return dy;
}

at::Tensor DecoderLayer::backward(at::Tensor dy, LayerTape tape, const StreamContext& context,
                                  const InputGradient& wanted) const {
  const DropoutKeys& dropout = chosen_dropout(tape, context);
  return attention_backward(mlp_backward(std::move(dy), tape, dropout), tape, context, wanted);
}

}  // namespace striate

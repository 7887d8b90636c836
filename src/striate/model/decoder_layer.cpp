#include "striate/model/decoder_layer.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/train_ops.h"

namespace striate {
namespace {

// Slots of Llama's linears that read the same rows: queries, keys and values; gate and up.
constexpr std::pair<std::size_t, std::size_t> kSameInput[] = {{0, 3}, {4, 6}};

// Memory for weights that will lie one below the other, filled from above.
class WeightColumn {
 public:
  WeightColumn(std::span<const LinearShape> shapes, const Placement& placement) : placement_(placement) {
    std::int64_t rows = 0;
    for (const LinearShape& shape : shapes) rows += shape.out;
    weight_ = at::empty({rows, shapes.front().in},
                        at::TensorOptions(compute_dtype(placement.compute)).device(placement.device));
  }

  FrozenMatrix add(const at::Tensor& stored, const at::Tensor& bias) {
    const at::Tensor rows = weight_.slice(0, filled_, filled_ + stored.size(0));
    rows.copy_(stored);
    filled_ += stored.size(0);
    if (bias.defined()) biases_.push_back(bias);
    return FrozenMatrix(rows, bias);
  }
  const at::Tensor& weight() const { return weight_; }
  at::Tensor bias() const { return biases_.empty() ? at::Tensor() : at::cat(biases_); }

 private:
  const Placement& placement_;
  at::Tensor weight_;
  std::vector<at::Tensor> biases_;
  std::int64_t filled_ = 0;
};

}  // namespace

at::Tensor LayerOutput::sum() const {
  return middle + delta;
}

std::vector<LinearShape> decoder_linears(const DecoderConfig& c) {
  const std::int64_t q = c.heads * c.head_dim;
  const std::int64_t kv = c.kv_heads * c.head_dim;
  if (c.kind == DecoderKind::kPhi3) {
    return {{"self_attn.qkv_proj", q + 2 * kv, c.hidden_size, false},
            {"self_attn.o_proj", c.hidden_size, q, false},
            {"mlp.gate_up_proj", 2 * c.mlp_size, c.hidden_size, false},
            {"mlp.down_proj", c.hidden_size, c.mlp_size, false}};
  }
  return {{"self_attn.q_proj", q, c.hidden_size, c.attention_bias},
          {"self_attn.k_proj", kv, c.hidden_size, c.attention_bias},
          {"self_attn.v_proj", kv, c.hidden_size, c.attention_bias},
          {"self_attn.o_proj", c.hidden_size, q, c.attention_bias},
          {"mlp.gate_proj", c.mlp_size, c.hidden_size, c.mlp_bias},
          {"mlp.up_proj", c.mlp_size, c.hidden_size, c.mlp_bias},
          {"mlp.down_proj", c.hidden_size, c.mlp_size, c.mlp_bias}};
}

DecoderLayer::DecoderLayer(const WeightSource& weights, const DecoderConfig& config, std::int64_t index,
                           const Placement& placement)
    : config_(config), index_(index), placement_(placement) {
  const std::string prefix = cat("model.layers.", index, ".");
  const std::vector<std::int64_t> width = {config.hidden_size};
  input_norm_ = Weight(placement.vector(weights.load(prefix + "input_layernorm.weight", width)));
  post_attention_norm_ = Weight(placement.vector(weights.load(prefix + "post_attention_layernorm.weight", width)));
  load_linears(weights, prefix);
}

// On a device the weights of linears that read the same rows are put one below the other. On the CPU they stay where
// they are in the file, and what is kept in fewer bits has a matrix for each linear.
void DecoderLayer::load_linears(const WeightSource& weights, const std::string& prefix) {
  const std::vector<LinearShape> shapes = decoder_linears(config_);
  const bool whole = placement_.quantized.of(index_) == FrozenPrecision::kStored;
  const bool joins = !placement_.device.is_cpu() && !fused() && whole;
  std::optional<WeightColumn> column;
  std::size_t next = 0;  // of kSameInput
  for (std::size_t slot = 0; slot < shapes.size(); ++slot) {
    const LinearShape& shape = shapes[slot];
    at::Tensor bias;
    if (shape.bias) bias = placement_.vector(weights.load(cat(prefix, shape.name, ".bias"), {shape.out}));
    const std::string name = cat(prefix, shape.name, ".weight");
    const at::Tensor stored = weights.load(name, {shape.out, shape.in});
    const bool together = joins && next < std::size(kSameInput) && slot >= kSameInput[next].first;
    if (together && !column)
      column.emplace(std::span(shapes).subspan(slot, kSameInput[next].second - slot), placement_);
    const FrozenMatrix matrix =
        together ? column->add(stored, bias) : placement_.layer_matrix(index_, name, stored, bias);
    linears_.emplace_back(shape.name, std::make_shared<FrozenLinear>(matrix));
    if (!together || slot + 1 < kSameInput[next].second) continue;
    joined_.emplace_back(kSameInput[next].first, kSameInput[next].second, column->weight(), column->bias());
    joined_.back().look_at(linears_);
    column.reset();
    ++next;
  }
}

void DecoderLayer::replace_linear(const std::string& name, std::shared_ptr<const Linear> linear) {
  for (auto& [known, current] : linears_) {
    if (known != name) continue;
    current = std::move(linear);
    for (JoinedLinears& join : joined_) join.look_at(linears_);
    std::erase_if(joined_, [](const JoinedLinears& join) { return !join.hold(); });
    return;
  }
  throw internal_error(cat("layer ", index_, " has no linear ", name));
}

DecoderLayer::Input DecoderLayer::input_of(const at::Tensor& x, const at::Tensor& delta) const {
  if (!delta.defined()) return {x, rms_norm(x, input_norm_.value(), config_.rms_eps)};
  SumAndNorm input = add_rms_norm(x, delta, input_norm_.value(), config_.rms_eps);
  return {std::move(input.sum), std::move(input.normed)};
}

LayerOutput DecoderLayer::forward(const at::Tensor& x, const at::Tensor& delta, const RotaryAngles& angles,
                                  Attention& attention) const {
  const Input input = input_of(x, delta);
  SumAndNorm middle = add_rms_norm(input.sum, attention_block(input.normed, angles, attention),
                                   post_attention_norm_.value(), config_.rms_eps);
  return {std::move(middle.sum), mlp_block(middle.normed)};
}

const JoinedLinears* DecoderLayer::joined(std::size_t first, std::size_t end) const {
  for (const JoinedLinears& join : joined_) {
    if (join.first() <= first && join.end() == end && first + 1 < end) return &join;
  }
  return nullptr;
}

std::vector<LinearForward> DecoderLayer::run_linears(std::size_t first, std::size_t end, const at::Tensor& x,
                                                     const DropoutKeys& dropout) const {
  std::vector<LinearForward> results;
  const JoinedLinears* together = joined(first, end);
  const std::vector<at::Tensor> products =
      together == nullptr ? std::vector<at::Tensor>() : together->products(first, x, placement_.compute);
  for (std::size_t slot = first; slot < end; ++slot) {
    results.push_back(together == nullptr ? linear(slot).train_forward(x, placement_.compute, dropout)
                                          : linear(slot).train_forward_from(products[slot - first], x, dropout));
  }
  return results;
}

std::vector<at::Tensor> DecoderLayer::outputs(std::size_t first, std::size_t end, const at::Tensor& x,
                                              const DropoutKeys& dropout, LayerTape* tape) const {
  std::vector<at::Tensor> all;
  for (LinearForward& result : run_linears(first, end, x, dropout)) {
    if (tape != nullptr) tape->linears[first + all.size()] = std::move(result.tape);
    all.push_back(std::move(result.y));
  }
  return all;
}

DecoderLayer::Heads DecoderLayer::split_heads(const std::vector<at::Tensor>& projected, const RotaryAngles& angles,
                                              const RowChoice* choice) const {
  const std::int64_t q_width = config_.heads * config_.head_dim;
  const std::int64_t kv_width = config_.kv_heads * config_.head_dim;
  const auto heads = [&](const at::Tensor& t, std::int64_t count) {
    return t.unflatten(1, {count, config_.head_dim});  // [N, heads, head_dim]
  };
  const bool joined = projected.size() == 1;
  const auto part = [&](std::size_t i, std::int64_t begin, std::int64_t width) {
    return joined ? projected[0].slice(1, begin, begin + width) : projected[i];
  };
  Heads result{heads(part(0, 0, q_width), config_.heads), heads(part(1, q_width, kv_width), config_.kv_heads),
               heads(part(2, q_width + kv_width, kv_width), config_.kv_heads)};
  if (joined && choice != nullptr) result.q = result.q.index_select(0, choice->rows);
  if (choice == nullptr) {
    const at::Tensor both = side_by_side(part(0, 0, q_width), part(1, q_width, kv_width));
    if (both.defined()) {
      rotate_heads(heads(both, config_.heads + config_.kv_heads), angles.cos, angles.sin);
      return result;
    }
  }
  const RotaryAngles& q_angles = choice == nullptr ? angles : choice->angles;
  rotate_heads(result.q, q_angles.cos, q_angles.sin);
  rotate_heads(result.k, angles.cos, angles.sin);
  return result;
}

at::Tensor DecoderLayer::attention_block(const at::Tensor& x, const RotaryAngles& angles, Attention& attention) const {
  const Heads heads = split_heads(outputs(0, output_slot(), x, {}, nullptr), angles);
  const at::Tensor mixed = attention.attend(index_, heads.q, heads.k, heads.v);
  return linear(output_slot()).forward(mixed.flatten(1), placement_.compute);
}

DecoderLayer::Gates DecoderLayer::split_gates(const std::vector<at::Tensor>& projected) const {
  if (!fused()) return {projected[0], projected[1]};
  return {projected[0].slice(1, 0, config_.mlp_size), projected[0].slice(1, config_.mlp_size)};
}

at::Tensor DecoderLayer::mlp_block(const at::Tensor& x) const {
  const Gates gates = split_gates(outputs(gate_slot(), down_slot(), x, {}, nullptr));
  return linear(down_slot()).forward(silu_multiply(gates.gate, gates.up), placement_.compute);
}

}  // namespace striate

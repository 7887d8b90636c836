#include "striate/train/train_pass.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "striate/model/spare_tokens.h"
#include "striate/tensor/deterministic_sums.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/train_ops.h"
#include "striate/tensor/upload.h"

namespace striate {
namespace {

// One per token: of its sample's key and its place in the sample.
at::Tensor token_keys(const PackedBatch& batch) {
  if (batch.sample_keys.empty()) return {};
  const at::Tensor keys = at::empty({batch.tokens()}, at::kLong);
  auto* key = keys.mutable_data_ptr<std::int64_t>();
  const at::Tensor bounds = batch.cu_seqlens.to(at::kLong).contiguous();
  const auto* bound = bounds.const_data_ptr<std::int64_t>();
  for (std::size_t s = 0; s < batch.sample_keys.size(); ++s) {
    const RandomStream stream(batch.sample_keys[s], "token");
    for (std::int64_t t = bound[s]; t < bound[s + 1]; ++t) {
      key[t] = static_cast<std::int64_t>(stream.bits(static_cast<std::uint64_t>(t - bound[s])));
    }
  }
  return keys;
}

StreamContext make_context(const Tunable& tunable, const PackedBatch& batch, std::int64_t step, bool deterministic) {
  const Lvlm& model = tunable.model();
  StreamContext context;
  const at::Tensor bounds = batch.cu_seqlens.to(at::kLong).contiguous();
  context.shape.bounds.assign(bounds.const_data_ptr<std::int64_t>(),
                              bounds.const_data_ptr<std::int64_t>() + bounds.numel());
  context.shape.window = model.config().decoder.sliding_window;
  context.shape.on_device = device_bounds(context.shape.bounds, model.placement().device);
  context.shape.deterministic = deterministic;
  context.angles = model.decoder().angles(batch.positions);
  const bool drops = tunable.options().stage == Stage::kTune && tunable.options().kind == TuneKind::kLora &&
                     tunable.options().lora.dropout > 0.0;
  if (drops) {
    if (batch.sample_keys.empty()) throw internal_error("dropout needs sample keys");
    context.dropout.step_key = RandomStream(tunable.options().seed, "dropout").bits(static_cast<std::uint64_t>(step));
    context.dropout.row_keys = uploaded(token_keys(batch), model.placement().device);
  }
  return context;
}

// What the forward pass leaves of a layer.
LayerTape reduced(LayerTape tape, ActivationCheckpointing checkpointing) {
  if (checkpointing == ActivationCheckpointing::kLayer) {
    LayerTape input;
    input.x = std::move(tape.x);
    input.choice = tape.choice;
    return input;
  }
  if (checkpointing == ActivationCheckpointing::kMlp) {
    for (at::Tensor* again : {&tape.gate, &tape.up}) again->reset();
  }
  return tape;
}

LayerTape completed(const DecoderLayer& layer, LayerTape tape, ActivationCheckpointing checkpointing,
                    const StreamContext& context) {
  if (checkpointing == ActivationCheckpointing::kLayer) return layer.recompute(std::move(tape), context);
  if (checkpointing == ActivationCheckpointing::kMlp) return layer.recompute_mlp(std::move(tape), context);
  return tape;
}

// The vision tower's pass while it is trained: a graph of LibTorch's autograd from leaves that stand for the
// parameters.
class TowerPass {
 public:
  TowerPass(const Tunable& tunable, const at::Tensor& pixels) {
    const Lvlm& model = tunable.model();
    for (const auto& parameter : tunable.parameters().all()) {
      if (parameter->group != ParameterGroup::kVisionTower) continue;
      leaves_[parameter->name] = parameter->value.detach().requires_grad_();
      parameters_.push_back(parameter.get());
    }
    const at::AutoGradMode with_autograd(true);
    features_ = model.tower()->train_forward(leaves_, uploaded(pixels, model.placement().device)).flatten(0, 1);
  }
  // [M, vision_hidden].
  at::Tensor features() const { return features_.detach(); }
  void backward(const at::Tensor& dfeatures) const {
    features_.backward(dfeatures);
    for (Parameter* parameter : parameters_) {
      const at::Tensor& gradient = leaves_.at(parameter->name).grad();
      if (gradient.defined()) parameter->gradient.add_(gradient);
    }
  }

 private:
  TowerWeights leaves_;
  std::vector<Parameter*> parameters_;
  at::Tensor features_;
};

// The decoder's input, and what the way back below the decoder needs.
struct Embedded {
  at::Tensor x;
  std::optional<ProjectorTape> projector;
  std::optional<TowerPass> tower;
};

Embedded embed(const Tunable& tunable, const PackedBatch& batch) {
  const Lvlm& model = tunable.model();
  if (!batch.image_features.defined() && !batch.pixels.defined())
    return {model.embed(batch), std::nullopt, std::nullopt};
  Embedded result;
  at::Tensor features = batch.image_features;
  if (batch.pixels.defined()) {
    result.tower.emplace(tunable, batch.pixels);
    features = result.tower->features();
  }
  result.x = model.decoder().embed(batch.token_ids);
  ProjectorForward projected = model.projector()->train_forward(uploaded(features, model.placement().device));
  result.x.index_copy_(0, batch.image_slots, projected.y);
  if (model.projector()->linear(0).trains() || result.tower) result.projector = std::move(projected.tape);
  return result;
}

// The rows that the last layer computes: those that predict a target, and others that come cheaper with them than
// without.
struct ChosenRows {
  RowChoice choice;
  at::Tensor places;  // [K] int64, where the targets' rows are among them; undefined: they come first

  // Of the last layer's output, what the head and a teacher read.
  at::Tensor read(const at::Tensor& output) const { return places.defined() ? output.index_select(0, places) : output; }
  // The gradient of read().
  at::Tensor spread(const at::Tensor& gradient, const at::Tensor& output) const {
    if (!places.defined()) return gradient;
    return at::zeros(output.sizes(), gradient.options()).index_copy_(0, places, gradient);
  }
};

// On the CPU spare ones at the end; on a GPU the rest of every sample, as its attention wants it.
at::Tensor rows_to_choose(const PackedBatch& batch, std::int64_t tokens, const StreamShape& shape, bool on_gpu) {
  if (on_gpu) return with_rest_of_samples(batch.target_slots, shape);
  const std::int64_t targets = batch.target_slots.size(0);
  const std::int64_t spare = std::min(rounded_up(targets, kSpareRowStep) - targets, batch.tokens() - tokens);
  return at::cat({batch.target_slots, at::arange(tokens, tokens + spare, batch.target_slots.options())});
}

ChosenRows target_rows(const Lvlm& model, const PackedBatch& batch, std::int64_t tokens, const StreamContext& context) {
  const at::Device device = model.placement().device;
  const at::Tensor rows = rows_to_choose(batch, tokens, context.shape, !device.is_cpu());
  ChosenRows chosen;
  RowChoice& choice = chosen.choice;
  choice.queries = stream_queries(rows, context.shape);
  choice.rows = uploaded(rows, device);
  if (!device.is_cpu()) {
    choice.queries.on_device = device_bounds(choice.queries.bounds, device);
    chosen.places = uploaded(at::searchsorted(rows, batch.target_slots), device);
  }
  choice.angles = {context.angles.cos.index_select(0, choice.rows), context.angles.sin.index_select(0, choice.rows)};
  choice.dropout.step_key = context.dropout.step_key;
  if (context.dropout.row_keys.defined()) {
    choice.dropout.row_keys = context.dropout.row_keys.index_select(0, choice.rows);
  }
  return chosen;
}

// The distillation terms of one stream. Gradients are taken on the way forward, where a layer's output is at hand
// whatever checkpointing keeps of it, and wait for the way back.
class TeacherPass {
 public:
  TeacherPass(const Distillation& distillation, const PackedBatch& batch, std::int64_t tokens, std::int64_t lowest,
              LossScale scale)
      : distillation_(distillation), scale_(scale) {
    states_ = distillation.observe(batch, tokens, lowest);
    const auto compared = static_cast<double>(distillation.compared(lowest).size());
    share_ = compared > 0 ? 1.0 / compared : 0.0;
  }

  bool compares(std::size_t layer) const { return states_.outputs[layer].defined(); }
  // `output` [N, hidden] of a layer, or [K, hidden] of the last one, spare rows at the end.
  void compare(std::size_t layer, const at::Tensor& output) {
    at::Tensor& state = states_.outputs[layer];
    const bool last = layer + 1 == states_.outputs.size();
    const double scale = share_ * (last ? scale_.per_target : scale_.per_token);
    const LossTerm term =
        relative_error(output.slice(0, 0, state.size(0)), state, distillation_.options().hidden_weight * scale);
    add(hidden_, term.sum * scale);
    state = term.gradient;  // the teacher's state has served
  }
  // Adds what was found to the gradient of the layer's output.
  void add_gradient(std::size_t layer, const at::Tensor& dx) {
    at::Tensor& gradient = states_.outputs[layer];
    if (!gradient.defined()) return;
    dx.slice(0, 0, gradient.size(0)).add_(gradient);
    gradient.reset();
  }
  bool compares_logits() const { return states_.last.defined(); }
  // The gradient of the logits [rows, vocab] of the targets from `first` on.
  at::Tensor compare_logits(std::int64_t first, const at::Tensor& logits) {
    const at::Tensor theirs = distillation_.teacher().logits(states_.last.slice(0, first, first + logits.size(0)));
    const DistillationOptions& o = distillation_.options();
    LossTerm term = softened_divergence(logits, theirs, o.temperature, o.kl_weight * scale_.per_target);
    add(kl_, term.sum * scale_.per_target);
    return term.gradient;
  }
  const at::Tensor& hidden() const { return hidden_; }
  const at::Tensor& kl() const { return kl_; }

 private:
  static void add(at::Tensor& sum, const at::Tensor& term) { sum = sum.defined() ? sum + term : term; }

  const Distillation& distillation_;
  LossScale scale_;
  double share_ = 0;
  TeacherStates states_;
  at::Tensor hidden_, kl_;
};

// The head at the targets: losses, and the gradient of the chosen rows of the stream.
struct HeadPass {
  at::Tensor nll;            // [K] fp32
  at::Tensor rows_gradient;  // [K and spare ones, hidden]
};

HeadPass head_pass(const Lvlm& model, const PackedBatch& batch, const at::Tensor& stream, double scale,
                   TeacherPass* teacher) {
  const Decoder& decoder = model.decoder();
  const Linear& head = decoder.head_linear();
  const Compute compute = model.placement().compute;
  const double eps = decoder.config().rms_eps;
  HeadPass result;
  result.rows_gradient = at::zeros_like(stream);
  const std::int64_t row_bytes = head.out_features() * stream.element_size();
  const bool softened = teacher != nullptr && teacher->compares_logits();
  // A teacher's logits, their logarithms and the like are fp32 and as many again.
  const std::int64_t chunk = std::max<std::int64_t>(16, kLogitBytes / row_bytes / (softened ? 4 : 1));
  const LinearTape none;
  const DropoutKeys no_dropout;
  std::vector<at::Tensor> nll;
  for (std::int64_t first = 0; first < stream.size(0); first += chunk) {
    const at::Tensor rows = stream.slice(0, first, first + chunk);
    const at::Tensor normed = rms_norm(rows, decoder.norm().value(), eps);
    const at::Tensor logits = head.forward(normed, compute);
    const at::Tensor wanted = batch.targets.slice(0, std::min(first, batch.targets.size(0)), first + chunk);
    const at::Tensor of_targets = logits.slice(0, 0, wanted.size(0));
    at::Tensor extra;
    if (softened && wanted.size(0) > 0) extra = teacher->compare_logits(first, of_targets);
    nll.push_back(cross_entropy_in_place(of_targets, wanted, scale));
    if (extra.defined()) of_targets.add_(extra);
    if (wanted.size(0) < logits.size(0)) logits.slice(0, wanted.size(0)).zero_();  // spare rows have no target
    const at::Tensor dnormed = head.backward({logits, normed, &none, &no_dropout, compute, true});
    if (decoder.norm().parameter()) {
      decoder.norm().parameter()->gradient.add_(rms_norm_weight_gradient(dnormed, rows, eps));
    }
    add_rms_norm_gradient(result.rows_gradient.slice(0, first, first + chunk), dnormed, rows, decoder.norm().value(),
                          eps);
  }
  result.nll = at::cat(nll);
  return result;
}

void add_embedding_gradient(const Decoder& decoder, const PackedBatch& batch, const at::Tensor& dx,
                            bool deterministic) {
  const auto& parameter = decoder.embedding().parameter();
  if (!parameter) return;
  const at::Tensor text = batch.token_ids.ge(0).nonzero().squeeze(1);
  const at::Tensor rows = dx.index_select(0, uploaded(text, dx.device())).to(at::kFloat);
  const DeterministicSums sums(deterministic);
  parameter->gradient.index_add_(0, uploaded(batch.token_ids.index_select(0, text), dx.device()), rows);
}

// What is read of the gradient of the stream's first layer: the pictures' rows alone where no embedding is trained.
InputGradient gradient_below(const Lvlm& model, const PackedBatch& batch, const Embedded& embedded) {
  if (model.decoder().embedding().parameter()) return {};
  if (!embedded.projector) return {.wanted = false, .rows = {}};
  return {.wanted = true, .rows = batch.image_slots};
}

// dx is the gradient of the stream's first layer, of the pictures' rows alone where `images_only`.
void backward_below(const Lvlm& model, const PackedBatch& batch, const Embedded& embedded, bool images_only,
                    const at::Tensor& dx, bool deterministic) {
  add_embedding_gradient(model.decoder(), batch, dx, deterministic);
  if (!embedded.projector) return;
  const at::Tensor rows = images_only ? dx : dx.index_select(0, batch.image_slots);
  const at::Tensor dfeatures =
      model.projector()->backward(rows, *embedded.projector, /*input_gradient=*/embedded.tower.has_value());
  if (embedded.tower) embedded.tower->backward(dfeatures);
}

}  // namespace

TrainPass::TrainPass(Tunable& tunable, ActivationCheckpointing checkpointing, const Distillation* distillation,
                     bool deterministic)
    : tunable_(&tunable), checkpointing_(checkpointing), distillation_(distillation), deterministic_(deterministic) {}

PassResult TrainPass::run(const PackedBatch& given, LossScale scale, std::int64_t step, const LayerPassed& passed) {
  const at::NoGradGuard no_autograd;
  const bool spare = wants_spare_tokens(tunable_->model().placement()) && given.targets.numel() > 0;
  PackedBatch batch = spare ? with_spare_tokens(given, kSpareRowStep - 1) : given;
  if (tunable_->options().tune_vision_tower && batch.image_features.defined()) {
    throw internal_error("features of a tower that is being trained are stale: give pixels");
  }
  if (batch.targets.numel() == 0) {
    return {at::empty({0}, at::TensorOptions(at::kFloat).device(tunable_->model().placement().device)), {}, {}};
  }
  const Lvlm& model = tunable_->model();
  batch.targets = uploaded(batch.targets, model.placement().device);
  batch.image_slots = uploaded(batch.image_slots, model.placement().device);
  const std::vector<DecoderLayer>& layers = model.decoder().layers();
  const StreamContext context = make_context(*tunable_, batch, step, deterministic_);
  const std::int64_t lowest_backward = tunable_->lowest_backward_layer();
  const auto lowest = static_cast<std::size_t>(lowest_backward);

  const ChosenRows wanted = target_rows(model, batch, given.tokens(), context);

  std::optional<TeacherPass> teacher;
  if (distillation_ != nullptr) teacher.emplace(*distillation_, batch, given.tokens(), lowest_backward, scale);

  Embedded embedded = embed(*tunable_, batch);
  LayerForward last;
  last.middle = std::move(embedded.x);
  std::vector<LayerTape> tapes(layers.size());
  at::Tensor read;  // of the last layer's output
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const bool is_last = i + 1 == layers.size();
    last = layers[i].train_forward(last.middle, last.delta, context, is_last ? &wanted.choice : nullptr);
    if (i >= lowest) tapes[i] = reduced(std::move(last.tape), checkpointing_);
    last.tape = {};
    if (is_last) read = wanted.read(last.middle + last.delta);
    if (teacher && teacher->compares(i)) teacher->compare(i, is_last ? read : last.middle + last.delta);
  }
  HeadPass head = head_pass(model, batch, read, scale.per_target, teacher ? &*teacher : nullptr);
  if (teacher) teacher->add_gradient(layers.size() - 1, head.rows_gradient);
  at::Tensor dx = wanted.spread(head.rows_gradient, last.middle);
  last = {};
  read.reset();
  head.rows_gradient.reset();
  const InputGradient below = gradient_below(model, batch, embedded);
  if (passed) passed(static_cast<std::int64_t>(layers.size()));
  for (std::size_t i = layers.size(); i-- > lowest;) {
    if (teacher && i + 1 < layers.size()) teacher->add_gradient(i, dx);
    LayerTape tape = completed(layers[i], std::move(tapes[i]), checkpointing_, context);
    dx = layers[i].backward(std::move(dx), std::move(tape), context, i > lowest ? InputGradient{} : below);
    if (passed) passed(static_cast<std::int64_t>(i));
  }
  if (below.wanted) backward_below(model, batch, embedded, below.rows.defined(), dx, deterministic_);
  return {head.nll, teacher ? teacher->hidden() : at::Tensor(), teacher ? teacher->kl() : at::Tensor()};
}

}  // namespace striate

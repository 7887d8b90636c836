#include "striate/train/tunable.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "striate/tensor/parallel.h"

namespace striate {
namespace {

std::shared_ptr<Parameter> make_parameter(std::string name, ParameterGroup group, at::Tensor value, bool decays) {
  auto parameter = std::make_shared<Parameter>();
  parameter->name = std::move(name);
  parameter->group = group;
  parameter->value = std::move(value);
  parameter->decays = decays;
  return parameter;
}

// [rows, columns] fp32, uniform in +-limit, keyed by the seed and the name.
at::Tensor uniform_matrix(std::int64_t rows, std::int64_t columns, double limit, std::uint64_t seed,
                          const std::string& name) {
  const at::Tensor values = at::empty({rows, columns}, at::TensorOptions(at::kFloat));
  float* data = values.mutable_data_ptr<float>();
  const RandomStream stream(seed, name);
  parallel_ranges(rows * columns, 1 << 14, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      data[i] = static_cast<float>((2.0 * stream.uniform(static_cast<std::uint64_t>(i)) - 1.0) * limit);
    }
  });
  return values;
}

std::string last_name(const std::string& linear) {
  return linear.substr(linear.rfind('.') + 1);
}

// Collects parameters while putting them into the model.
class Builder {
 public:
  Builder(Lvlm& model, const TuneOptions& options, const WeightSource* stored)
      : model_(model), options_(options), stored_(stored) {}

  void add_projector();
  void add_vision_tower();
  void add_adapters(std::int64_t layer);
  void add_whole_layer(std::int64_t layer);
  void add_embedding_head_and_norm();
  std::vector<std::shared_ptr<Parameter>> take() { return std::move(parameters_); }

 private:
  std::shared_ptr<Parameter> add(std::string name, ParameterGroup group, at::Tensor value, bool decays) {
    parameters_.push_back(make_parameter(std::move(name), group, std::move(value), decays));
    return parameters_.back();
  }
  // In fp32 and of its own, of the weight `name` that the model computes with as `used`.
  at::Tensor master_copy(const std::string& name, const at::Tensor& used) const {
    const at::Tensor source = stored_ != nullptr ? stored_->load(name, used.sizes().vec()) : used;
    return source.to(used.device(), at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
  }
  // Every weight of a linear.
  std::shared_ptr<const Linear> trained(const std::string& name, ParameterGroup group, const FrozenMatrix& matrix) {
    const auto weight = add(name + ".weight", group, master_copy(name + ".weight", matrix.weight()), true);
    weight->rounded_suffices = true;
    std::shared_ptr<Parameter> bias;
    if (matrix.bias().defined()) {
      bias = add(name + ".bias", group, master_copy(name + ".bias", matrix.bias()), false);
    }
    return std::make_shared<TrainedLinear>(weight, bias);
  }
  void train_weight(Weight& weight, const std::string& name, bool decays) {
    weight.train(add(name, ParameterGroup::kDecoder, master_copy(name, weight.value()), decays));
  }

  Lvlm& model_;
  const TuneOptions& options_;
  const WeightSource* stored_;
  std::vector<std::shared_ptr<Parameter>> parameters_;
};

void Builder::add_projector() {
  Projector& projector = *model_.projector();
  for (std::size_t i = 0; i < projector.depth(); ++i) {
    const std::string name = cat("projector.", 2 * i);
    projector.replace_linear(i, trained(name, ParameterGroup::kProjector, projector.linear(i).matrix()));
  }
}

void Builder::add_vision_tower() {
  VisionTower& tower = *model_.tower();
  for (const auto& [name, value] : TowerWeights(tower.weights())) {
    add(name, ParameterGroup::kVisionTower, master_copy(name, value), value.dim() > 1);
  }
}

void Builder::add_adapters(std::int64_t layer) {
  DecoderLayer& block = model_.decoder().layers()[static_cast<std::size_t>(layer)];
  const LoraOptions& lora = options_.lora;
  const at::Device device = model_.placement().device;
  for (const auto& [name, linear] : std::vector(block.linears())) {
    if (linear_state(options_, layer, name) != LinearState::kAdapter) continue;
    const FrozenMatrix matrix = linear->matrix();
    const std::string prefix = cat("model.layers.", layer, ".", name);
    const std::string a_name = prefix + ".lora_A.weight";
    const double limit = 1.0 / std::sqrt(static_cast<double>(matrix.in_features()));
    const at::Tensor a = uniform_matrix(lora.rank, matrix.in_features(), limit, options_.seed, a_name).to(device);
    const at::Tensor b = at::zeros({matrix.out_features(), lora.rank}, at::TensorOptions(at::kFloat).device(device));
    const auto a_parameter = add(a_name, ParameterGroup::kAdapter, a, true);
    const auto b_parameter = add(prefix + ".lora_B.weight", ParameterGroup::kAdapter, b, true);
    a_parameter->rounded_suffices = b_parameter->rounded_suffices = true;
    block.replace_linear(
        name, std::make_shared<LoraLinear>(matrix, a_parameter, b_parameter,
                                           lora.alpha_value() / static_cast<double>(lora.rank), lora.dropout));
  }
}

void Builder::add_whole_layer(std::int64_t layer) {
  DecoderLayer& block = model_.decoder().layers()[static_cast<std::size_t>(layer)];
  const std::string prefix = cat("model.layers.", layer, ".");
  for (const auto& [name, linear] : std::vector(block.linears())) {
    block.replace_linear(name, trained(prefix + name, ParameterGroup::kDecoder, linear->matrix()));
  }
  train_weight(block.input_norm(), prefix + "input_layernorm.weight", false);
  train_weight(block.post_attention_norm(), prefix + "post_attention_layernorm.weight", false);
}

void Builder::add_embedding_head_and_norm() {
  Decoder& decoder = model_.decoder();
  train_weight(decoder.embedding(), "model.embed_tokens.weight", true);
  train_weight(decoder.norm(), "model.norm.weight", false);
  if (decoder.config().tie_embeddings) {
    decoder.replace_head(std::make_shared<TrainedLinear>(decoder.embedding().parameter(), nullptr));
  } else {
    decoder.replace_head(trained("lm_head", ParameterGroup::kDecoder, decoder.head_linear().matrix()));
  }
}

void check_lora(const DecoderConfig& decoder, const LoraOptions& lora) {
  if (lora.rank < 1) {
    throw invalid_input(cat("the LoRA rank ", lora.rank, " is less than 1"),
                        "use a rank of 1 or more; the paper's is 128");
  }
  if (!(lora.alpha_value() > 0.0) || std::isinf(lora.alpha_value())) {
    throw invalid_input(cat("the LoRA alpha ", lora.alpha_value(), " is not above 0"),
                        "use a number above 0, such as twice the rank");
  }
  if (!(lora.dropout >= 0.0 && lora.dropout < 1.0)) {
    throw invalid_input(cat("the LoRA dropout ", lora.dropout, " is not a probability below 1"),
                        "use a probability from 0 to below 1");
  }
  std::vector<std::string> known;
  for (const LinearShape& shape : decoder_linears(decoder)) known.push_back(last_name(shape.name));
  for (const std::string& target : lora.targets) {
    if (std::find(known.begin(), known.end(), target) == known.end()) {
      throw invalid_input(cat("no linear of the decoder's layers is called ", target),
                          cat("this model has ", join(known, ", ")));
    }
  }
}

void check_depth(std::int64_t layers, const LayerSet& region) {
  if (region.empty() || region.depth() == layers) return;
  throw invalid_input(cat("the region is for a decoder of ", region.depth(), " layers, but this decoder has ", layers),
                      "give layers of this model");
}

// Weights that are trained whole must not hide an adapter, nor an adapter another one.
void check_no_adapters(const Lvlm& model) {
  for (const DecoderLayer& layer : model.decoder().layers()) {
    for (const auto& [name, linear] : layer.linears()) {
      if (dynamic_cast<const FrozenLinear*>(linear.get()) != nullptr) continue;
      throw invalid_input("the model already has an adapter", "merge it first, or train from the base model");
    }
  }
}

}  // namespace

LinearState linear_state(const TuneOptions& tune, std::int64_t layer, const std::string& name) {
  if (tune.stage == Stage::kPretrain) return LinearState::kTrained;
  if (tune.stage == Stage::kAlign) return LinearState::kFrozen;
  if (!tune.layers.contains(layer)) return LinearState::kFrozen;
  if (tune.kind == TuneKind::kFull) return LinearState::kTrained;
  const std::vector<std::string>& targets = tune.lora.targets;
  const bool chosen = targets.empty() || std::find(targets.begin(), targets.end(), last_name(name)) != targets.end();
  return chosen ? LinearState::kAdapter : LinearState::kFrozen;
}

QuantizedLayers quantized_layers(const DecoderConfig& decoder, const TuneOptions& tune) {
  if (tune.frozen_precision == FrozenPrecision::kStored || tune.stage == Stage::kPretrain) return {};
  const LayerSet all = LayerSet::all(decoder.layers);
  const bool region = tune.stage == Stage::kTune && !tune.layers.empty();
  return {tune.frozen_precision, region ? tune.layers.complement() : all};
}

void check_frozen_precision(const DecoderConfig& decoder, const TuneOptions& tune) {
  if (tune.frozen_precision == FrozenPrecision::kStored || !quantized_layers(decoder, tune).layers.empty()) return;
  throw invalid_input(cat("`frozen_precision` ", frozen_precision_name(tune.frozen_precision),
                          " does not apply: every layer is trained, and only frozen layers are kept in fewer bits"),
                      tune.stage == Stage::kTune ? "leave it out, or give fewer `layers`" : "leave it out");
}

bool trains_below_decoder(const ModelConfig& config, const TuneMethod& tune) {
  return tune.stage == Stage::kPretrain || tune.tune_vision_tower || (config.projector && !tune.freeze_projector);
}

void check_tune_options(const ModelConfig& config, const TuneOptions& tune) {
  const bool projector = config.projector && !tune.freeze_projector;
  if (tune.tune_vision_tower && !config.vision) {
    throw invalid_input("this model has no vision tower to train", "leave out `tune_vision_tower`");
  }
  if (tune.stage == Stage::kAlign && !projector) {
    throw invalid_input(
        config.projector ? "aligning with a frozen projector trains nothing" : "this model has no projector to align",
        "this stage needs a vision tower and a projector that is not frozen");
  }
  if (tune.stage != Stage::kTune) return;
  check_depth(config.decoder.layers, tune.layers);
  if (tune.kind == TuneKind::kLora) check_lora(config.decoder, tune.lora);
  if (tune.layers.empty() && !projector && !tune.tune_vision_tower) {
    throw invalid_input("nothing to train", "choose layers, or do not freeze the projector");
  }
}

Tunable::Tunable(Lvlm& model, const TuneOptions& options, const WeightSource* stored)
    : model_(&model), options_(options) {
  check_tune_options(model.config(), options);
  check_no_adapters(model);
  Builder builder(model, options_, stored);
  if (model.projector() != nullptr && !options.freeze_projector) builder.add_projector();
  if (options.tune_vision_tower) builder.add_vision_tower();
  if (options.stage == Stage::kTune) {
    for (const std::int64_t layer : options.layers) {
      options.kind == TuneKind::kLora ? builder.add_adapters(layer) : builder.add_whole_layer(layer);
    }
  }
  if (options.stage == Stage::kPretrain) {
    for (std::int64_t layer = 0; layer < model.config().decoder.layers; ++layer) builder.add_whole_layer(layer);
    builder.add_embedding_head_and_norm();
  }
  parameters_ = ParameterSet(builder.take(), model.placement().compute);
  // The tower computes with whatever its parameters hold, now that they lie where they stay.
  for (const auto& parameter : parameters_.all()) {
    if (parameter->group == ParameterGroup::kVisionTower) {
      model.tower()->replace_weight(parameter->name, parameter->value);
    }
  }
}

bool Tunable::trains_below_decoder() const {
  return striate::trains_below_decoder(model_->config(), options_);
}

std::int64_t Tunable::lowest_backward_layer() const {
  if (trains_below_decoder()) return 0;
  const std::vector<DecoderLayer>& layers = model_->decoder().layers();
  const auto lowest = std::find_if(layers.begin(), layers.end(), [](const DecoderLayer& l) { return l.trains(); });
  return lowest - layers.begin();
}

}  // namespace striate

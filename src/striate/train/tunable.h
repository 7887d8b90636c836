// A model prepared for training: parameters where training may change something, frozen types everywhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/layer_set.h"
#include "striate/model/lvlm.h"
#include "striate/model/parameter.h"
#include "striate/model/placement.h"
#include "striate/model/weight_source.h"

namespace striate {

enum class Stage {
  kAlign,     // projector only
  kTune,      // projector and region
  kPretrain,  // the whole decoder with embeddings and head, and the projector where there is one
};

enum class TuneKind {
  kLora,  // an adapter on the linears of the region's layers
  kFull,  // every weight of the region's layers
};

struct LoraOptions {
  std::int64_t rank = 128;
  std::optional<double> alpha;  // absent: 2 rank
  double dropout = 0.05;
  // Linears by their last name (q_proj, gate_up_proj); empty: every linear of the layer.
  std::vector<std::string> targets;

  double alpha_value() const { return alpha.value_or(2.0 * static_cast<double>(rank)); }
};

// How a model is tuned, whichever its layers.
struct TuneMethod {
  Stage stage = Stage::kTune;
  TuneKind kind = TuneKind::kLora;
  LoraOptions lora;
  bool freeze_projector = false;  // then no backward pass runs below the lowest trained layer
  bool tune_vision_tower = false;
  std::uint64_t seed = 234;
  FrozenPrecision frozen_precision = FrozenPrecision::kStored;  // of quantized_layers()
};

struct TuneOptions : TuneMethod {
  LayerSet layers;  // of the model: the region; not read by kAlign and kPretrain
};

// What training does to a decoder layer's linear.
enum class LinearState { kFrozen, kAdapter, kTrained };
// `name` as decoder_linears() gives it.
LinearState linear_state(const TuneOptions& tune, std::int64_t layer, const std::string& name);

// The layers whose linears are kept in `frozen_precision`: those outside the region. Everything else (the region's
// layers, projector, vision tower, embedding, head, norms) stays as it is stored.
QuantizedLayers quantized_layers(const DecoderConfig& decoder, const TuneOptions& tune);
// Throws InvalidInput for a `frozen_precision` that no layer would have.
void check_frozen_precision(const DecoderConfig& decoder, const TuneOptions& tune);

// Whether gradients must reach the stream's first layer: a projector, embedding or vision tower is trained.
bool trains_below_decoder(const ModelConfig& config, const TuneMethod& tune);

// Throws InvalidInput for options that no model of this shape can be trained with: a region of a decoder of another
// depth, a target the decoder does not have, an impossible rank or dropout, parts the model lacks, nothing to train.
void check_tune_options(const ModelConfig& config, const TuneOptions& tune);

// Replaces the model's frozen linears by trained ones as the options say. A is drawn uniform in +-1/sqrt(in) (PEFT's
// kaiming_uniform with a = sqrt 5), B is zero, both keyed by the seed and the parameter's name.
class Tunable {
 public:
  // `stored` is what the model was loaded from: training starts from weights as they were published, where a model on a
  // GPU computes with copies in its own type. Without it, from the model's own.
  // Throws as check_tune_options does, and InvalidInput for a model with adapters already on it.
  Tunable(Lvlm& model, const TuneOptions& options, const WeightSource* stored = nullptr);

  Lvlm& model() { return *model_; }
  const Lvlm& model() const { return *model_; }
  const TuneOptions& options() const { return options_; }
  ParameterSet& parameters() { return parameters_; }
  const ParameterSet& parameters() const { return parameters_; }
  // As the function of that name says of its options.
  bool trains_below_decoder() const;
  // The lowest decoder layer that needs a backward pass; the number of layers when none does.
  std::int64_t lowest_backward_layer() const;

 private:
  Lvlm* model_;
  TuneOptions options_;
  ParameterSet parameters_;
};

}  // namespace striate

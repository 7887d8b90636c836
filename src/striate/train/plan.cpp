#include "striate/train/plan.h"

#include <algorithm>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/data/tower_batch.h"
#include "striate/model/decoder_layer.h"
#include "striate/model/tensor_list.h"
#include "striate/ranks/block_share.h"
#include "striate/tensor/fp8_product.h"
#include "striate/train/gradient_sum.h"

namespace striate {
namespace {

std::size_t place_of(ActivationCheckpointing checkpointing) {
  return static_cast<std::size_t>(checkpointing);
}

std::string last_name(std::string_view linear) {
  return std::string(linear.substr(linear.rfind('.') + 1));
}

std::int64_t element_of(Compute compute) {
  return compute == Compute::kBFloat16 ? 2 : 4;
}

bool is_vector(const TensorSpec& spec) {
  return spec.shape.size() == 1;
}

// Whether training holds a master copy of a tensor, which then takes the frozen one's place.
bool is_trained(const PlanRequest& request, const TensorSpec& spec) {
  const TuneOptions& tune = request.tune;
  if (spec.part == Part::kProjector) return !tune.freeze_projector;
  if (spec.part == Part::kVisionTower) return tune.tune_vision_tower;
  if (tune.stage == Stage::kPretrain) return true;
  const bool whole = tune.stage == Stage::kTune && tune.kind == TuneKind::kFull;
  return whole && tune.layers.contains(spec.layer);
}

// Layers after the feature layer, and the norm after them, are never loaded.
bool is_loaded(const ModelConfig& config, const TensorSpec& spec) {
  if (spec.part != Part::kVisionTower) return true;
  return spec.layer < config.vision->layers_run() && spec.name.find("post_layernorm") == std::string::npos;
}

void count_parameters(const PlanRequest& request, TrainingCost& cost) {
  const ModelConfig& config = request.config;
  for (const TensorSpec& spec : expected_tensors(config)) {
    if (!is_loaded(config, spec)) continue;
    cost.model += spec.numel();
    if (!is_trained(request, spec)) continue;
    if (spec.part == Part::kProjector) cost.projector += spec.numel();
    if (spec.part == Part::kVisionTower) cost.vision_tower += spec.numel();
    if (spec.part == Part::kDecoder) cost.decoder += spec.numel();
  }
  for (std::int64_t layer = 0; layer < config.decoder.layers; ++layer) {
    for (const LinearShape& linear : decoder_linears(config.decoder)) {
      if (linear_state(request.tune, layer, linear.name) != LinearState::kAdapter) continue;
      cost.adapter += request.tune.lora.rank * (linear.in + linear.out);
    }
  }
  cost.parameters = cost.adapter + cost.projector + cost.decoder + cost.vision_tower;
}

// Bytes that a frozen tensor takes unless it is quantised. Vectors are widened; matrices stay as stored on the CPU.
std::int64_t unquantized_bytes(const PlanRequest& request, const TensorSpec& spec) {
  if (is_vector(spec)) return spec.numel() * 4;
  if (request.on_gpu) return spec.numel() * element_of(request.compute);
  const at::ScalarType stored = request.stored_type ? request.stored_type(spec.name) : at::kBFloat16;
  return spec.numel() * static_cast<std::int64_t>(c10::elementSize(stored));
}

bool is_layer_matrix(const TensorSpec& spec) {
  return spec.part == Part::kDecoder && spec.layer >= 0 && !is_vector(spec);
}

// A step's features, and what the tower takes to make them.
void plan_pictures(const PlanRequest& request, MemoryPlan& memory) {
  if (!request.config.vision) return;
  const VisionConfig& v = *request.config.vision;
  const std::int64_t of_a_stream = request.stream.image_rows * v.hidden_size * element_of(request.compute);
  memory.features = request.streams * of_a_stream;
  if (request.tune.tune_vision_tower) return;
  if (!request.on_gpu) {
    memory.tower = tower_bytes(v, request.compute, tower_batch_on_cpu(v));
    return;
  }
  const std::int64_t batch = tower_batch_on_gpu(v, request.compute, request.gpu_memory);
  memory.features *= 3;
  // Packed into their stream they are there twice.
  memory.tower = std::max(tower_bytes(v, request.compute, batch), of_a_stream);
  memory.tower_beside = true;
}

// Numbers of what is trained that bf16 training reads in fp32: norms, biases, the embedding.
std::int64_t read_in_fp32(const PlanRequest& request) {
  std::int64_t count = 0;
  for (const TensorSpec& spec : expected_tensors(request.config)) {
    const bool embedding = spec.name == "model.embed_tokens.weight";
    if (is_loaded(request.config, spec) && is_trained(request, spec) && (is_vector(spec) || embedding)) {
      count += spec.numel();
    }
  }
  return count;
}

// Values, gradients and the optimiser's state, and what ranks exchange of them.
void plan_parameters(const PlanRequest& request, TrainingCost& cost) {
  MemoryPlan& memory = cost.memory;
  const std::int64_t all = cost.parameters;
  const bool bf16 = request.compute == Compute::kBFloat16;
  const bool shared = request.shard_optimizer && request.ranks > 1;
  memory.parameters = all * (bf16 ? 6 : 4);
  memory.gradients = all * 4;
  memory.moments = all * 8;
  std::int64_t handed_on = 4;  // bytes of each number that go round when the sums are there
  if (shared) {
    const std::int64_t own = BlockShare(all, 0, request.ranks).own_size();
    const bool dropped = bf16 && !request.tune.tune_vision_tower;
    // Masters of its own; else besides all values.
    memory.parameters = dropped ? all * 2 + own * 6 + read_in_fp32(request) * 4 : memory.parameters + own * 4;
    memory.gradients += own * 4;
    memory.moments = own * 8;
    handed_on = dropped ? 2 : 4;
  }
  if (request.ranks == 1) return;
  memory.exchange = gradient_sum_bytes(all, request.ranks, kGradientBucket);
  cost.traffic = all * (request.ranks - 1) / request.ranks * (4 + handed_on);
}

void plan_memory(const PlanRequest& request, TrainingCost& cost) {
  MemoryPlan& memory = cost.memory;
  const ModelConfig& config = request.config;
  const QuantizedLayers quantized = quantized_layers(config.decoder, request.tune);
  std::int64_t weight_element = 2;
  for (const TensorSpec& spec : expected_tensors(config)) {
    if (!is_loaded(config, spec) || is_trained(request, spec)) continue;
    std::int64_t bytes = unquantized_bytes(request, spec);
    if (spec.part == Part::kDecoder && !is_vector(spec)) weight_element = bytes / spec.numel();
    const FrozenPrecision precision = is_layer_matrix(spec) ? quantized.of(spec.layer) : FrozenPrecision::kStored;
    if (precision != FrozenPrecision::kStored) {
      bytes = quantized_bytes(precision, spec.shape[0], spec.shape[1]);
      memory.quantized += bytes;
    }
    memory.weights += bytes;
  }
  plan_parameters(request, cost);
  plan_pictures(request, memory);
  const PassShape shape{config, request.tune, request.compute, request.on_gpu, weight_element, request.fp8_units};
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    memory.activations[place_of(checkpointing)] = activation_bytes(shape, request.stream, checkpointing);
  }
}

// Operations of one linear on `rows` tokens.
struct LinearWork {
  double forward = 0;
  double input_gradient = 0;
  double weight_gradient = 0;
  double thin = 0;  // of each of the three, where there is an adapter
};

LinearWork work_of(const LinearShape& linear, LinearState state, std::int64_t rank, double rows) {
  const double product = 2.0 * static_cast<double>(linear.in) * static_cast<double>(linear.out) * rows;
  const double thin = 2.0 * static_cast<double>(rank) * static_cast<double>(linear.in + linear.out) * rows;
  switch (state) {
    case LinearState::kFrozen:
      return {product, product, 0, 0};
    case LinearState::kAdapter:
      return {product + thin, product + thin, thin, thin};
    case LinearState::kTrained:
      return {product, product, product, 0};
  }
  throw internal_error("a linear in no state");
}

// Causal attention's two products (scores, and values), over samples of equal length.
double attention_work(const DecoderConfig& c, const PlannedStream& stream) {
  const double samples = static_cast<double>(std::max<std::int64_t>(1, stream.samples));
  const double length = static_cast<double>(stream.tokens) / samples;
  const double pairs = length * (length + 1) / 2;
  return 2 * 2.0 * static_cast<double>(c.heads * c.head_dim) * pairs * samples;
}

// The share of the rows of a layer's input whose gradient is computed: below the first one a projector or a tower reads
// those of pictures.
double read_below(const PlanRequest& request, std::int64_t layer) {
  const bool all = layer > 0 || layer + 1 == request.config.decoder.layers ||
                   linear_state(request.tune, layer, "self_attn.q_proj") == LinearState::kTrained;
  return all ? 1.0 : static_cast<double>(request.stream.image_rows) / static_cast<double>(request.stream.tokens);
}

void plan_layer(const PlanRequest& request, std::int64_t layer, std::int64_t lowest, bool below,
                OperationsPlan& operations) {
  const DecoderConfig& c = request.config.decoder;
  const bool last = layer + 1 == c.layers;
  const bool backward = layer >= lowest;
  const std::vector<LinearShape> linears = decoder_linears(c);
  // The last layer asks for the targets alone.
  const double asking =
      last ? static_cast<double>(request.stream.targets) / static_cast<double>(request.stream.tokens) : 1.0;
  const double attention = asking * attention_work(c, request.stream);
  operations.forward += attention;
  // Scores again, then the gradients of scores, values, queries and keys.
  if (backward) operations.input_gradient += 2.5 * attention;
  const QuantizedLayers quantized = quantized_layers(c, request.tune);
  for (std::size_t slot = 0; slot < linears.size(); ++slot) {
    const LinearShape& linear = linears[slot];
    const bool reads_norm =
        std::string_view(linear.name).starts_with("self_attn") && last_name(linear.name) != "o_proj";
    const bool chosen = last && (!reads_norm || last_name(linear.name) == "q_proj");
    const double rows = static_cast<double>(chosen ? request.stream.targets : request.stream.tokens);
    const LinearState state = linear_state(request.tune, layer, linear.name);
    const LinearWork work = work_of(linear, state, request.tune.lora.rank, rows);
    // The lowest layer's input needs no gradient where nothing below is trained.
    const bool wanted = !reads_norm || layer > lowest || below;
    const double asked = !wanted ? 0.0 : reads_norm ? read_below(request, layer) : 1.0;
    operations.forward += work.forward;
    if (backward) operations.input_gradient += work.input_gradient * asked;
    if (backward) operations.weight_gradient += work.weight_gradient;
    const double thin = work.thin * (backward ? 2 + asked : 1.0);
    const bool is_down = slot + 1 == linears.size();
    const bool inner = std::string_view(linear.name).starts_with("mlp") && !is_down;
    const bool with_layer = !is_down || state != LinearState::kFrozen;
    const double again[] = {0, backward && inner ? 1.0 : 0.0, backward && with_layer ? 1.0 : 0.0};
    const bool fp8 = multiplies_fp8(request, quantized.of(layer), linear);
    for (std::size_t place = 0; place < std::size(kCheckpointings); ++place) {
      operations.recompute[place] += again[place] * work.forward;
      operations.adapters[place] += thin + again[place] * work.thin;
      if (fp8) operations.fp8[place] += (1 + again[place]) * work.forward;
    }
  }
  for (double& sum : operations.attention) sum += attention * (backward ? 3.5 : 1.0);
  if (!backward) return;
  operations.recompute[place_of(ActivationCheckpointing::kLayer)] += attention;
  operations.attention[place_of(ActivationCheckpointing::kLayer)] += attention;
}

void plan_projector(const PlanRequest& request, bool below, OperationsPlan& operations) {
  if (!request.config.projector) return;
  const ProjectorConfig& p = *request.config.projector;
  const auto rows = static_cast<double>(request.stream.image_rows);
  for (std::int64_t i = 0; i < p.depth; ++i) {
    const double product =
        2.0 * static_cast<double>(i == 0 ? p.in_size : p.out_size) * static_cast<double>(p.out_size) * rows;
    operations.forward += product;
    if (!request.tune.freeze_projector) operations.weight_gradient += product;
    if (below && (i > 0 || request.tune.tune_vision_tower)) operations.input_gradient += product;
  }
}

double tower_work(const VisionConfig& v) {
  const auto rows = static_cast<double>(v.grid() * v.grid() + (v.kind == TowerKind::kClip ? 1 : 0));
  const auto width = static_cast<double>(v.hidden_size);
  const double layer =
      rows * (8 * width * width + 4 * width * static_cast<double>(v.mlp_size)) + 4 * rows * rows * width;
  const auto patch = static_cast<double>(v.channels * v.patch_size * v.patch_size);
  return static_cast<double>(v.layers_run()) * layer + 2 * rows * patch * width;
}

void plan_operations(const PlanRequest& request, TrainingCost& cost) {
  OperationsPlan& operations = cost.operations;
  const DecoderConfig& c = request.config.decoder;
  const bool below = trains_below_decoder(request.config, request.tune);
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    plan_layer(request, layer, cost.lowest_backward_layer, below, operations);
  }
  plan_projector(request, below, operations);
  const double product = 2.0 * static_cast<double>(c.vocab_size) * static_cast<double>(c.hidden_size) *
                         static_cast<double>(request.stream.targets);
  operations.head = product * (request.tune.stage == Stage::kPretrain ? 3 : 2);
  if (request.config.vision) {
    operations.tower_per_image = tower_work(*request.config.vision);
    if (request.tune.tune_vision_tower) operations.tower_per_image *= 3;
  }
  const auto tokens = static_cast<double>(request.stream.tokens);
  for (double* sum : {&operations.forward, &operations.input_gradient, &operations.weight_gradient, &operations.head}) {
    *sum /= tokens;
  }
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    const std::size_t place = place_of(checkpointing);
    operations.recompute[place] /= tokens;
    operations.adapters[place] /= tokens;
    operations.attention[place] /= tokens;
    operations.fp8[place] /= tokens;
  }
}

}  // namespace

std::int64_t MemoryPlan::total(ActivationCheckpointing checkpointing) const {
  const std::int64_t pass = activations[place_of(checkpointing)];
  return fixed() + (tower_beside ? pass + tower : std::max(pass, tower));
}

double OperationsPlan::total(ActivationCheckpointing checkpointing) const {
  return forward + input_gradient + weight_gradient + head + recompute[place_of(checkpointing)];
}

bool multiplies_fp8(const PlanRequest& request, FrozenPrecision precision, const LinearShape& linear) {
  return request.on_gpu && request.fp8_units && request.compute == Compute::kBFloat16 &&
         precision == FrozenPrecision::kFp8 && fits_fp8_units(linear.out, linear.in);
}

TrainingCost plan_cost(const PlanRequest& request) {
  check_tune_options(request.config, request.tune);
  const PlannedStream& stream = request.stream;
  if (stream.tokens < 1 || stream.targets < 1 || stream.targets > stream.tokens || stream.samples < 1 ||
      stream.image_rows < 0 || stream.image_rows > stream.tokens || stream.longest < 0) {
    throw invalid_input(cat("a stream of ", stream.tokens, " tokens with ", stream.image_rows, " image rows, ",
                            stream.targets, " targets and ", stream.samples, " samples is impossible"),
                        "image rows and targets are parts of the tokens");
  }
  TrainingCost cost;
  cost.lowest_backward_layer = lowest_backward_layer(request.config, request.tune);
  count_parameters(request, cost);
  plan_memory(request, cost);
  plan_operations(request, cost);
  return cost;
}

std::int64_t teacher_matrix_bytes(const ModelConfig& config, const Placement& placement,
                                  const std::function<at::ScalarType(const std::string&)>& stored_type) {
  PlanRequest request;
  request.compute = placement.compute;
  request.on_gpu = !placement.device.is_cpu();
  request.stored_type = stored_type;
  std::int64_t sum = 0;
  for (const TensorSpec& spec : expected_tensors(config)) {
    const bool held = spec.part == Part::kDecoder || (request.on_gpu && is_loaded(config, spec));
    if (held && !is_vector(spec)) sum += unquantized_bytes(request, spec);
  }
  return sum;
}

PlanRequest with_all_layers(const PlanRequest& request) {
  PlanRequest all = request;
  all.tune.layers = LayerSet::all(all.config.decoder.layers);
  return all;
}

std::optional<ActivationCheckpointing> checkpointing_within(const MemoryPlan& memory, std::int64_t budget) {
  for (const ActivationCheckpointing checkpointing : kCheckpointings) {
    if (memory.total(checkpointing) <= budget) return checkpointing;
  }
  return std::nullopt;
}

std::string checkpointing_name(ActivationCheckpointing checkpointing) {
  switch (checkpointing) {
    case ActivationCheckpointing::kNone:
      return "keep";
    case ActivationCheckpointing::kMlp:
      return "recompute-mlp";
    case ActivationCheckpointing::kLayer:
      return "recompute-layer";
  }
  throw internal_error("a checkpointing without a name");
}

}  // namespace striate

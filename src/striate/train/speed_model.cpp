#include "striate/train/speed_model.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "striate/base/error.h"
#include "striate/model/decoder_layer.h"

namespace striate {
namespace {

// Shares of what makers state. The first is fitted to NeMo AutoModel's LoRA on Llama-3.1-8B on an H100 (12,473 tokens a
// second), the second is FlashAttention 2 as PyTorch has it on the same GPU (232 of 989.5 TFLOP/s), the third what
// loops over memory commonly reach, the last PyTorch's cost of a launch from the host.
constexpr double kProductShare = 0.615;
constexpr double kAttentionShare = 0.234;
constexpr double kMemoryShare = 0.8;
constexpr double kLaunchSeconds = 6e-6;

// Launches as the pretend device counts them (docs/gpu.md): of a stream besides its layers (embedding, projector,
// head, optimiser), and of a layer by pass.
constexpr double kStreamLaunches = 64;
constexpr double kForwardLaunches = 9;
constexpr double kBackwardLaunches = 12;
constexpr double kApart = 4;            // more of a forward pass where every linear is a product of its own
constexpr double kAdapterLaunches = 8;  // forward and backward,
constexpr double kAdapterForward = 2;   // of them forward
constexpr double kDropoutLaunches = 3;  // as kAdapterLaunches
constexpr double kScaleBytes = 4;       // of a row in e4m3

// Adds up what a stream moves: elements of rows in the compute type.
class Mover {
 public:
  Mover(const PlanRequest& request, const TrainingCost& cost, ActivationCheckpointing checkpointing)
      : request_(request),
        cost_(cost),
        checkpointing_(checkpointing),
        quantized_(quantized_layers(request.config.decoder, request.tune)) {
    element_ = request.compute == Compute::kBFloat16 ? 2.0 : 4.0;
  }

  StreamWork work() {
    operations();
    const std::int64_t layers = request_.config.decoder.layers;
    for (std::int64_t layer = 0; layer < layers; ++layer) this->layer(layer);
    work_.launches += kStreamLaunches;
    projector();
    head();
    optimizer();
    return work_;
  }

 private:
  void operations() {
    const OperationsPlan& o = cost_.operations;
    const auto place = static_cast<std::size_t>(checkpointing_);
    const auto tokens = static_cast<double>(request_.stream.tokens);
    work_.adapters = o.adapters[place] * tokens;
    work_.attention = o.attention[place] * tokens;
    work_.fp8_products = o.fp8[place] * tokens;
    work_.products = o.total(checkpointing_) * tokens - work_.adapters - work_.attention - work_.fp8_products;
  }

  void layer(std::int64_t layer) {
    const DecoderConfig& c = request_.config.decoder;
    const bool last = layer + 1 == c.layers;
    const bool backward = layer >= cost_.lowest_backward_layer;
    const bool again = backward && checkpointing_ == ActivationCheckpointing::kLayer;
    const bool mlp_again = again || (backward && checkpointing_ == ActivationCheckpointing::kMlp);
    const auto tokens = static_cast<double>(request_.stream.tokens);
    const double rows = last ? static_cast<double>(request_.stream.targets) : tokens;
    const auto hidden = static_cast<double>(c.hidden_size);
    const auto mlp = static_cast<double>(c.mlp_size);
    const auto heads = static_cast<double>((c.heads + c.kv_heads) * c.head_dim);
    // Norms and residual sums (4 + 4 rows of the stream), positions, attention's reading and writing, the gate.
    const double forward = tokens * 4 * hidden + rows * 4 * hidden + tokens * 4 * heads;
    const double gate = rows * 3 * mlp;
    // The norms' gradients, the sums of what q, k and v give the stream, positions, attention's, the gate's.
    const double gradient = tokens * 8 * hidden + rows * 5 * hidden + tokens * 6 * heads + rows * 5 * mlp;
    move(forward * (again ? 2 : 1) + gate * (mlp_again ? 2 : 1) + (backward ? gradient : 0.0));
    work_.launches += kForwardLaunches * (again ? 2 : 1) + (backward ? kBackwardLaunches : 0);
    if (quantized_.of(layer) != FrozenPrecision::kStored)
      work_.launches += kApart * (again ? 2 : 1) + (backward ? 1 : 0);
    for (const LinearShape& linear : decoder_linears(c)) {
      const std::string_view name = linear.name;
      const bool inner = name.starts_with("mlp") && name != "mlp.down_proj";
      const double forwards = 1.0 + ((inner ? mlp_again : again) ? 1.0 : 0.0);
      const double passes = forwards + (backward ? 1.0 : 0.0);
      if (multiplies_fp8(request_, quantized_.of(layer), linear)) {
        in_fp8(linear, rows, forwards);
        in_compute_type(layer, linear, rows, passes - forwards);
      } else {
        in_compute_type(layer, linear, rows, passes);
        if (quantized_.of(layer) == FrozenPrecision::kFp8) rounded(linear, rows, forwards);
      }
      if (linear_state(request_.tune, layer, linear.name) == LinearState::kAdapter) adapter(linear, rows, passes);
    }
  }

  // Products that read the weight in the compute type. A quantised one is written so ahead of each of them, in one
  // launch.
  void in_compute_type(std::int64_t layer, const LinearShape& linear, double rows, double products) {
    const auto weight = static_cast<double>(linear.in * linear.out);
    work_.product_bytes += products * weight * element_;
    work_.product_rows += products * rows * static_cast<double>(linear.in + linear.out) * element_;
    const FrozenPrecision precision = quantized_.of(layer);
    if (precision == FrozenPrecision::kStored) return;
    move(products * weight);
    work_.moved += products * static_cast<double>(quantized_bytes(precision, linear.out, linear.in));
    work_.launches += products;
  }

  // Products of e4m3: one launch rounds the rows ahead of each.
  void in_fp8(const LinearShape& linear, double rows, double products) {
    const auto in = static_cast<double>(linear.in);
    const auto out = static_cast<double>(linear.out);
    const auto weight = static_cast<double>(quantized_bytes(FrozenPrecision::kFp8, linear.out, linear.in));
    const double codes = rows * (in + kScaleBytes);
    work_.product_bytes += products * weight;
    work_.product_rows += products * (codes + rows * out * element_);
    work_.moved += products * (rows * in * element_ + codes);
    work_.launches += products;
  }

  // Rows that are rounded to e4m3 and back, in two launches.
  void rounded(const LinearShape& linear, double rows, double products) {
    const auto in = static_cast<double>(linear.in);
    work_.moved += products * 2 * rows * (in * element_ + in + kScaleBytes);
    work_.launches += products * 2;
  }

  // An adapter's products read the input and add to the output, and on the way back the other way round, twice: for
  // gradients of parameters and of the input.
  void adapter(const LinearShape& linear, double rows, double passes) {
    const auto in = static_cast<double>(linear.in);
    const auto out = static_cast<double>(linear.out);
    const double forwards = passes - 1;
    work_.adapter_bytes += rows * element_ * (forwards * (in + 2 * out) + 2 * out + 3 * in);
    const double repeated = forwards - 1;
    work_.launches += kAdapterLaunches + repeated * kAdapterForward;
    if (request_.tune.lora.dropout <= 0) return;
    move(rows * (forwards * 2 * in + 2 * in + 3 * in));
    work_.launches += kDropoutLaunches + repeated;
  }

  void projector() {
    if (!request_.config.projector) return;
    const auto rows = static_cast<double>(request_.stream.image_rows);
    move(rows * 8 * static_cast<double>(request_.config.projector->out_size));
  }

  // Logits are written, read for their sums, and overwritten by their gradients.
  void head() {
    const DecoderConfig& c = request_.config.decoder;
    const auto targets = static_cast<double>(request_.stream.targets);
    work_.product_bytes += 2.0 * static_cast<double>(c.vocab_size * c.hidden_size) * element_;
    work_.product_rows += 2.0 * targets * static_cast<double>(c.vocab_size + c.hidden_size) * element_;
    move(targets * (4 * static_cast<double>(c.vocab_size) + 9 * static_cast<double>(c.hidden_size)));
  }

  // AdamW reads and writes value and moments, and reads the gradient, which its norm has read and zeroing writes; then
  // the rounded copy. A stream reads and writes each gradient once.
  void optimizer() {
    const double copy = request_.compute == Compute::kBFloat16 ? 2 : 0;
    const auto streams = static_cast<double>(std::max<std::int64_t>(1, request_.streams));
    work_.moved += static_cast<double>(cost_.parameters) * ((24 + 12 + copy) / streams + 8);
  }

  void move(double elements) { work_.moved += elements * element_; }

  const PlanRequest& request_;
  const TrainingCost& cost_;
  ActivationCheckpointing checkpointing_;
  QuantizedLayers quantized_;
  double element_ = 2;
  StreamWork work_;
};

std::string letters_of(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != ' ' && c != '-') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace

StreamWork stream_work(const PlanRequest& request, ActivationCheckpointing checkpointing) {
  const TrainingCost cost = plan_cost(request);
  return Mover(request, cost, checkpointing).work();
}

std::optional<MachineRates> assumed_gpu_rates(const Hardware& hardware, Compute compute) {
  if (!hardware.gpu || hardware.bf16_rate <= 0 || hardware.memory_rate <= 0 || compute != Compute::kBFloat16) {
    return std::nullopt;
  }
  MachineRates rates;
  rates.products = kProductShare * hardware.bf16_rate;
  rates.fp8 = kProductShare * hardware.fp8_rate;
  rates.adapters = rates.products;
  rates.attention = kAttentionShare * hardware.bf16_rate;
  rates.memory = kMemoryShare * hardware.memory_rate;
  rates.launch = kLaunchSeconds;
  return rates;
}

Hardware gpu_hardware(const std::string& name, std::int64_t memory) {
  const std::string given = letters_of(name);
  Hardware found{"", memory};
  std::int64_t nearest = 0;
  for (const Hardware& known : known_hardware()) {
    const std::string model = known.name.starts_with("rtx") ? known.name : known.name.substr(0, known.name.find('-'));
    if (given.find(letters_of(model)) == std::string::npos) continue;
    // Of several sizes, the one that is there.
    const std::int64_t distance = std::abs(known.memory - memory);
    if (!found.name.empty() && distance >= nearest) continue;
    nearest = distance;
    found = known;
    found.memory = memory;
  }
  return found;
}

StreamSeconds predicted_seconds(const StreamWork& work, const MachineRates& rates) {
  StreamSeconds s;
  s.products = work.products / rates.products;
  if (work.fp8_products > 0) {
    if (rates.fp8 <= 0) throw internal_error("products of e4m3 on a machine without units for them");
    s.products += work.fp8_products / rates.fp8;
  }
  s.adapters = work.adapters / rates.adapters;
  s.attention = work.attention / rates.attention;
  s.moved = work.moved / rates.memory;
  s.launches = work.launches * rates.launch;
  if (rates.gpu) {
    s.products = std::max(s.products, work.product_bytes / rates.memory);
    s.adapters = std::max(s.adapters, work.adapter_bytes / rates.memory);
    s.launches = std::max(0.0, s.launches - (s.products + s.adapters + s.attention + s.moved));
  }
  return s;
}

}  // namespace striate

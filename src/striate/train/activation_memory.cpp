#include "striate/train/activation_memory.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "striate/model/decoder_layer.h"
#include "striate/model/spare_tokens.h"
#include "striate/tensor/fp8_product.h"
#include "striate/train/byte_ledger.h"

namespace striate {
namespace {

constexpr std::int64_t kFloat = 4;  // bytes
constexpr std::int64_t kIndex = 8;  // bytes of an int64
// fp32 copies of a sample's scores that attention composed of LibTorch's operators holds at once in its gradient.
constexpr std::int64_t kComposedScores = 5;
constexpr std::int64_t kMultiprocessors = 132;  // of a GPU, where the plan must name a number

using Block = ByteLedger::Block;

// As LayerTape.
struct Tape {
  Block x, q, k, v, out, log_sums, middle, gate, up, lows;
};

// Follows TrainPass::run().
class PassLedger {
 public:
  PassLedger(const PassShape& shape, const PlannedStream& stream, ActivationCheckpointing checkpointing)
      : shape_(shape),
        c_(shape.config.decoder),
        stream_(stream),
        checkpointing_(checkpointing),
        e_(shape.compute == Compute::kBFloat16 ? 2 : kFloat),
        linears_(decoder_linears(c_)),
        q_width_(c_.heads * c_.head_dim),
        kv_width_(c_.kv_heads * c_.head_dim),
        quantized_(quantized_layers(c_, shape.tune)) {
    for (std::int64_t layer = 0; layer < c_.layers; ++layer) {
      for (const LinearShape& linear : linears_) states_.push_back(linear_state(shape.tune, layer, linear.name));
    }
  }

  std::int64_t most() {
    run();
    return ledger_.most();
  }

 private:
  bool fused() const { return c_.kind == DecoderKind::kPhi3; }
  bool drops() const {
    return shape_.tune.stage == Stage::kTune && shape_.tune.kind == TuneKind::kLora && shape_.tune.lora.dropout > 0;
  }
  bool is_last(std::int64_t layer) const { return layer + 1 == c_.layers; }
  // Bf16 on a GPU goes through flash attention, fp32 through LibTorch's operators one sample at a time.
  bool composes_attention() const { return shape_.on_gpu && e_ == kFloat; }
  // The last layer asks and computes for the targets' rows only; on a GPU for the rest of their samples, too, of which
  // one token at least is no target.
  std::int64_t rows(std::int64_t layer) const {
    if (!is_last(layer)) return stream_.tokens;
    return shape_.on_gpu ? std::min(stream_.tokens, stream_.targets + stream_.samples) : stream_.targets;
  }
  LinearState state(std::int64_t layer, std::size_t slot) const {
    return states_[static_cast<std::size_t>(layer) * linears_.size() + slot];
  }
  bool trains(std::int64_t layer, std::size_t slot) const { return state(layer, slot) != LinearState::kFrozen; }
  bool any_trains(std::int64_t layer, std::size_t first, std::size_t end) const {
    for (std::size_t slot = first; slot < end; ++slot) {
      if (trains(layer, slot)) return true;
    }
    return false;
  }
  std::size_t output_slot() const { return fused() ? 1 : 3; }
  std::size_t gate_slot() const { return output_slot() + 1; }
  std::size_t down_slot() const { return linears_.size() - 1; }
  Block held(std::int64_t rows, std::int64_t width) { return ledger_.hold(rows * width * e_); }

  // A block of a weight converted for a product.
  Block conversion(std::int64_t out, std::int64_t in, LinearState state) {
    const bool converts = !shape_.on_gpu && state != LinearState::kTrained && shape_.weight_element != e_;
    return ledger_.hold(converts ? std::min(kConvertedBytes, out * in * e_) : 0);
  }
  // The same of a layer's linear; a quantised weight is read in blocks on the CPU, and whole on a GPU.
  Block conversion(std::int64_t layer, std::size_t slot) {
    const LinearShape& linear = linears_[slot];
    if (!is_quantized(layer)) return conversion(linear.out, linear.in, state(layer, slot));
    const std::int64_t whole = linear.out * linear.in * e_;
    return ledger_.hold(shape_.on_gpu ? whole : std::min(kConvertedBytes, whole));
  }
  bool is_quantized(std::int64_t layer) const { return quantized_.of(layer) != FrozenPrecision::kStored; }
  // Whether a GPU multiplies a layer's weights in fp8 as they are.
  bool multiplies_fp8(std::int64_t layer, const LinearShape& linear) const {
    return shape_.on_gpu && shape_.fp8_units && e_ == 2 && quantized_.of(layer) == FrozenPrecision::kFp8 &&
           fits_fp8_units(linear.out, linear.in);
  }
  // What a forward product holds in passing: the weight, and with fp8 the rows that it rounds.
  void forward_conversion(std::int64_t layer, std::size_t slot, std::int64_t rows) {
    const LinearShape& linear = linears_[slot];
    const std::int64_t codes = rows * (linear.in + kFloat);
    if (multiplies_fp8(layer, linear)) return ledger_.touch(codes);
    const bool rounds = quantized_.of(layer) == FrozenPrecision::kFp8;
    const Block rounded = ledger_.hold(rounds ? rows * linear.in * e_ : 0);
    if (rounds) ledger_.touch(codes);
    conversion(layer, slot);
  }

  // Bytes an adapter's forward product leaves on the tape.
  std::int64_t low_bytes(std::int64_t layer, std::size_t slot, std::int64_t rows) const {
    return state(layer, slot) == LinearState::kAdapter ? rows * shape_.tune.lora.rank * e_ : 0;
  }
  // The product into `y`, with what it holds in passing.
  Block forward(std::int64_t layer, std::size_t slot, std::int64_t rows) {
    Block y = held(rows, linears_[slot].out);
    forward_conversion(layer, slot, rows);
    if (state(layer, slot) == LinearState::kAdapter && drops()) {
      ledger_.touch(rows * linears_[slot].in * e_ + low_bytes(layer, slot, rows));
    }
    return y;
  }
  // The gradient of a linear's input, or nothing where it is added to another.
  Block backward(std::int64_t layer, std::size_t slot, std::int64_t rows, bool onto, bool wanted = true) {
    const LinearShape& linear = linears_[slot];
    const bool adapter = state(layer, slot) == LinearState::kAdapter;
    const Block low = ledger_.hold(low_bytes(layer, slot, rows));
    if (adapter) {
      ledger_.touch(low_bytes(layer, slot, rows));
      if (drops()) ledger_.touch(rows * linear.in * e_);
    }
    if (state(layer, slot) == LinearState::kTrained && e_ != kFloat) ledger_.touch(linear.out * linear.in * e_);
    Block dx = ledger_.hold(onto || !wanted ? 0 : rows * linear.in * e_);
    if (wanted) conversion(layer, slot);
    if (adapter && wanted && drops()) ledger_.touch(rows * linear.in * e_);
    return dx;
  }

  // forward_to_inner(): fills the tape, returns what the last product reads.
  Block to_inner(std::int64_t layer, Tape& tape) {
    const std::int64_t r = rows(layer);
    std::int64_t lows = 0;
    for (std::size_t slot = 0; slot < linears_.size(); ++slot) {
      lows += low_bytes(layer, slot, slot < output_slot() ? asking(layer, slot) : r);
    }
    tape.lows = ledger_.hold(lows);
    std::vector<Block> projected;
    for (std::size_t slot = 0; slot < output_slot(); ++slot) {
      projected.push_back(forward(layer, slot, asking(layer, slot)));
    }
    // Queries and keys are turned where they lie; one product for all three keeps all of it as long as values are read.
    tape.v = std::move(projected.back());
    if (!fused()) {
      tape.q = std::move(projected[0]);
      tape.k = std::move(projected[1]);
    } else if (is_last(layer)) {
      tape.q = held(r, q_width_);
    }
    tape.out = held(r, q_width_);
    tape.log_sums = ledger_.hold(c_.heads * r * kFloat);
    attention_in_passing(/*backward=*/false);
    const Block mixed = forward(layer, output_slot(), r);
    const Block chosen_x = ledger_.hold(is_last(layer) ? r * c_.hidden_size * e_ : 0);
    tape.middle = held(r, c_.hidden_size);
    const Block normed = held(r, c_.hidden_size);
    return mlp_inner(layer, tape, r);
  }
  Block mlp_inner(std::int64_t layer, Tape& tape, std::int64_t r) {
    tape.gate = forward(layer, gate_slot(), r);
    if (!fused()) tape.up = forward(layer, gate_slot() + 1, r);
    return held(r, c_.mlp_size);
  }

  // What attention composed of LibTorch's operators holds: one sample at a time, fp32, every head. The longest counts.
  void attention_in_passing(bool backward) {
    if (!composes_attention()) return;
    const std::int64_t n = longest_sample(stream_);
    const std::int64_t heads = (backward ? 6 : 3) * n * q_width_ * kFloat;
    ledger_.touch(heads + (backward ? kComposedScores : 3) * c_.heads * n * n * kFloat);
  }

  // What flash attention's backward pass takes for itself (FlashAttention 2, mha_varlen_bwd): fp32 sums of the queries'
  // gradients, as many parts as keep every multiprocessor busy, and with grouped heads gradients of every head's keys
  // and values.
  void flash_workspace(std::int64_t r) {
    if (!shape_.on_gpu || composes_attention()) return;
    const std::int64_t blocks = stream_.samples * c_.heads;
    const std::int64_t parts = (kMultiprocessors + blocks - 1) / blocks;
    const std::int64_t padded = r + 128 * stream_.samples;
    const std::int64_t width = rounded_up(c_.head_dim, 32);
    const bool grouped = c_.kv_heads != c_.heads;
    ledger_.touch(padded * c_.heads * (parts * width + 1) * kFloat +
                  (grouped ? 2 * stream_.tokens * q_width_ * e_ : 0));
  }

  // As LayerForward; reads `middle` and `delta`, which the caller still holds, and puts the layer's own there.
  void train_forward(std::int64_t layer, Tape& tape, Block& middle, Block& delta) {
    tape.x = layer == 0 ? middle : held(stream_.tokens, c_.hidden_size);
    const Block normed = held(stream_.tokens, c_.hidden_size);
    const Block inner = to_inner(layer, tape);
    delta = forward(layer, down_slot(), rows(layer));
    middle = tape.middle;
  }

  // The tape as checkpointing leaves it.
  static void reduce(Tape& tape, ActivationCheckpointing checkpointing) {
    if (checkpointing == ActivationCheckpointing::kNone) return;
    tape.gate.reset();
    tape.up.reset();
    if (checkpointing == ActivationCheckpointing::kMlp) return;
    for (Block* part : {&tape.q, &tape.k, &tape.v, &tape.out, &tape.log_sums, &tape.middle, &tape.lows}) part->reset();
  }

  void complete(std::int64_t layer, Tape& tape) {
    const std::int64_t r = rows(layer);
    if (checkpointing_ == ActivationCheckpointing::kMlp) {
      const Block normed = held(r, c_.hidden_size);
      mlp_inner(layer, tape, r);
    }
    if (checkpointing_ == ActivationCheckpointing::kLayer) {
      const Block normed = held(stream_.tokens, c_.hidden_size);
      const Block inner = to_inner(layer, tape);
      if (trains(layer, down_slot())) forward(layer, down_slot(), r);
    }
  }

  void mlp_backward(std::int64_t layer, Tape& tape) {
    const std::int64_t r = rows(layer);
    const Block inner = ledger_.hold(trains(layer, down_slot()) ? r * c_.mlp_size * e_ : 0);
    const Block normed = ledger_.hold(any_trains(layer, gate_slot(), down_slot()) ? r * c_.hidden_size * e_ : 0);
    const Block dinner = backward(layer, down_slot(), r, false);
    const Block dnormed = backward(layer, gate_slot(), r, false);
    if (!fused()) backward(layer, gate_slot() + 1, r, true);
    for (Block* used : {&tape.gate, &tape.up, &tape.middle}) used->reset();
  }

  // The rows that a projection before the attention computes, as DecoderLayer::asks_alone().
  std::int64_t asking(std::int64_t layer, std::size_t slot) const {
    return slot == 0 && !fused() ? rows(layer) : stream_.tokens;
  }

  // `dy` is the gradient of the layer's middle, and becomes that of its input.
  void attention_backward(std::int64_t layer, Tape& tape, Block& dy, bool input_gradient) {
    const std::int64_t n = stream_.tokens;
    const std::int64_t r = rows(layer);
    const Block dmixed = backward(layer, output_slot(), r, false);
    if (is_last(layer)) dy = held(n, c_.hidden_size);
    Block queries = held(r, q_width_);
    Block keys_and_values = held(n, 2 * kv_width_);
    attention_in_passing(/*backward=*/true);
    flash_workspace(r);
    Block joined;
    if (fused()) {
      if (is_last(layer)) queries = held(n, q_width_);
      joined = held(n, q_width_ + 2 * kv_width_);
      queries.reset();
      keys_and_values.reset();
    }
    for (Block* used : {&tape.q, &tape.k, &tape.v, &tape.out, &tape.log_sums}) used->reset();
    const Block normed = ledger_.hold(any_trains(layer, 0, output_slot()) ? n * c_.hidden_size * e_ : 0);
    const bool norm_trains = state(layer, 0) == LinearState::kTrained;
    const bool all_first = norm_trains || is_last(layer);
    const std::int64_t wanted = input_rows(layer);
    Block dnormed;
    for (std::size_t slot = output_slot(); slot-- > 0;) {
      const bool onto = slot + 1 < output_slot() && asking(layer, slot) == n;
      Block part = backward(layer, slot, all_first ? asking(layer, slot) : wanted, onto, input_gradient || norm_trains);
      if (!dnormed) dnormed = std::move(part);
    }
    if (!input_gradient) {
      dy.reset();
    } else if (wanted < n) {
      if (all_first) dnormed = held(wanted, c_.hidden_size);
      dy = held(wanted, c_.hidden_size);
      held(wanted, c_.hidden_size);  // what the norm read
    }
  }
  // The rows of the input's gradient that are wanted, as gradient_below() in train_pass.cpp.
  std::int64_t input_rows(std::int64_t layer) const {
    return layer == 0 && shape_.tune.stage != Stage::kPretrain ? stream_.image_rows : stream_.tokens;
  }

  void head() {
    const std::int64_t k = stream_.targets;
    const std::int64_t row_bytes = c_.vocab_size * e_;
    const std::int64_t chunk = std::min(k, std::max<std::int64_t>(16, kLogitBytes / row_bytes));
    const LinearState state = shape_.tune.stage == Stage::kPretrain ? LinearState::kTrained : LinearState::kFrozen;
    const Block normed = held(chunk, c_.hidden_size);
    const Block logits = held(chunk, c_.vocab_size);
    const Block dnormed = held(chunk, c_.hidden_size);
    conversion(c_.vocab_size, c_.hidden_size, state);
    if (state == LinearState::kTrained && e_ != kFloat) ledger_.touch(c_.vocab_size * c_.hidden_size * e_);
  }

  // The projector's tape, where there is a way back through it.
  Block projector_tape() {
    const std::int64_t m = stream_.image_rows;
    if (m == 0 || !shape_.config.projector) return {};
    const ProjectorConfig& p = *shape_.config.projector;
    Block tape = held(m, 2 * (p.depth - 1) * p.out_size);
    held(m, p.out_size);  // its output, copied into the stream
    if (!trains_below_decoder(shape_.config, shape_.tune)) tape.reset();
    return tape;
  }

  // A vision tower that is trained keeps its layers' activations until the very end: an estimate.
  Block tower_tape() {
    if (!shape_.tune.tune_vision_tower || !shape_.config.vision) return {};
    const VisionConfig& v = *shape_.config.vision;
    return ledger_.hold(stream_.image_rows * v.layers_run() * (10 * v.hidden_size + 2 * v.mlp_size) * kFloat);
  }

  void below_decoder() {
    const std::int64_t m = stream_.image_rows;
    if (shape_.tune.stage == Stage::kPretrain) ledger_.touch((stream_.tokens - m) * c_.hidden_size * (e_ + kFloat));
    if (m == 0 || !shape_.config.projector) return;
    const ProjectorConfig& p = *shape_.config.projector;
    const Block rows = ledger_.hold(shape_.tune.stage == Stage::kPretrain ? m * p.out_size * e_ : 0);
    if (p.depth > 1) ledger_.touch(2 * m * p.out_size * e_);
  }

  void run() {
    const std::int64_t n = stream_.tokens;
    const bool below = trains_below_decoder(shape_.config, shape_.tune);
    const std::int64_t lowest = lowest_backward_layer(shape_.config, shape_.tune);
    const Block angles = ledger_.hold((n + stream_.targets) * c_.head_dim * kFloat +
                                      (drops() ? n + stream_.targets : 0) * kIndex + stream_.targets * kIndex);
    Block tower = tower_tape();
    Block middle = held(n, c_.hidden_size);
    const Block projector = projector_tape();
    Block delta;
    std::vector<Tape> tapes(static_cast<std::size_t>(c_.layers));
    for (std::int64_t layer = 0; layer < c_.layers; ++layer) {
      Tape tape;
      train_forward(layer, tape, middle, delta);
      reduce(tape, checkpointing_);
      if (layer >= lowest) tapes[static_cast<std::size_t>(layer)] = std::move(tape);
    }
    Block dx;
    {
      const std::int64_t r = rows(c_.layers - 1);
      if (shape_.on_gpu) held(r + stream_.targets, c_.hidden_size);  // the sum, of which the targets' rows are read
      const Block last = held(stream_.targets, c_.hidden_size);
      dx = held(stream_.targets, c_.hidden_size);
      head();
      if (shape_.on_gpu) dx = held(r, c_.hidden_size);
    }
    middle.reset();
    delta.reset();
    for (std::int64_t layer = c_.layers; layer-- > lowest;) {
      Tape tape = std::move(tapes[static_cast<std::size_t>(layer)]);
      complete(layer, tape);
      mlp_backward(layer, tape);
      attention_backward(layer, tape, dx, layer > lowest || below);
    }
    if (below) below_decoder();
  }

  const PassShape& shape_;
  const DecoderConfig& c_;
  PlannedStream stream_;
  ActivationCheckpointing checkpointing_;
  std::int64_t e_;  // bytes of an activation
  std::vector<LinearShape> linears_;
  std::vector<LinearState> states_;  // of every layer, linear by linear
  std::int64_t q_width_;
  std::int64_t kv_width_;
  QuantizedLayers quantized_;
  ByteLedger ledger_;
};

}  // namespace

std::int64_t lowest_backward_layer(const ModelConfig& config, const TuneOptions& tune) {
  if (trains_below_decoder(config, tune)) return 0;
  if (tune.stage != Stage::kTune || tune.layers.empty()) return config.decoder.layers;
  return tune.layers[0];
}

std::int64_t activation_bytes(const PassShape& shape, const PlannedStream& stream,
                              ActivationCheckpointing checkpointing) {
  return PassLedger(shape, stream, checkpointing).most();
}

}  // namespace striate

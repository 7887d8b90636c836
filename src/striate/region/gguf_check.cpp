#include "striate/region/gguf_check.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/lvlm.h"
#include "striate/model/tensor_list.h"
#include "striate/region/gguf_names.h"
#include "striate/tensor/gguf_reader.h"
#include "striate/tensor/mapped_tensor.h"
#include "striate/tensor/missing_tensor.h"
#include "striate/text/conversation.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// Tensors by LLaVA's original names, each made when it is asked for.
class TensorTable final : public WeightFile {
 public:
  void add(TensorInfo info, std::function<at::Tensor()> load) {
    loads_[info.name] = std::move(load);
    const auto place = std::upper_bound(tensors_.begin(), tensors_.end(), info,
                                        [](const TensorInfo& a, const TensorInfo& b) { return a.name < b.name; });
    tensors_.insert(place, std::move(info));
  }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  at::Tensor load(const std::string& name) const override {
    const auto found = loads_.find(name);
    if (found == loads_.end()) throw missing_tensor("the model", name, tensors_);
    return found->second();
  }

 private:
  std::vector<TensorInfo> tensors_;  // sorted by name
  std::map<std::string, std::function<at::Tensor()>> loads_;
};

std::uint64_t bytes_of(const std::vector<std::int64_t>& shape, at::ScalarType dtype) {
  return dense_bytes(dtype, shape).value_or(0);
}

at::ScalarType loaded_dtype(GgufType type) {
  switch (type) {
    case GgufType::kFloat16:
      return at::kHalf;
    case GgufType::kBFloat16:
      return at::kBFloat16;
    case GgufType::kFloat32:
    case GgufType::kQ8_0:
      return at::kFloat;
  }
  throw internal_error("unknown GGUF type");
}

std::shared_ptr<const WeightFile> planned_weights(const std::vector<PlannedTensor>& planned) {
  const auto table = std::make_shared<TensorTable>();
  for (const PlannedTensor& tensor : planned) {
    table->add({file_name(tensor.name, Naming::kOriginal),
                tensor.dtype,
                tensor.shape,
                bytes_of(tensor.shape, tensor.dtype),
                {}},
               tensor.load);
  }
  return table;
}

// The largest difference of `stored` from `source`, both flat, in half steps of `type`.
double largest_step(const at::Tensor& source, const at::Tensor& stored, GgufType type) {
  constexpr double kHalfSmallest16 = 0x1p-25;  // of fp16 below its normal numbers
  constexpr double kHalfSmallestB16 = 0x1p-134;
  const at::Tensor a = source.to(at::kDouble);
  const at::Tensor difference = (a - stored.to(at::kDouble)).abs();
  at::Tensor half_step;
  switch (type) {
    case GgufType::kFloat32:
      half_step = a.abs() * 0x1p-24;
      break;
    case GgufType::kFloat16:
      half_step = (a.abs() * 0x1p-11).clamp_min(kHalfSmallest16);
      break;
    case GgufType::kBFloat16:
      half_step = (a.abs() * 0x1p-8).clamp_min(kHalfSmallestB16);
      break;
    case GgufType::kQ8_0: {
      // Half a step of the block's scale d, and what rounding d to fp16 moves the largest of its numbers; the products
      // with 1 / d are in fp32.
      constexpr double kLargest = 127.0;
      const at::Tensor scale = a.view({-1, kQ8Block}).abs().amax(1, true) / kLargest;
      const at::Tensor rounded = (scale * 0x1p-11 + kHalfSmallest16) * kLargest;
      half_step = ((scale * 0.5 + rounded) * (1 + 0x1p-16)).expand({-1, kQ8Block}).reshape({-1});
      break;
    }
  }
  const at::Tensor steps = at::where(difference.eq(0), at::zeros_like(difference), difference / half_step);
  return steps.max().item<double>();
}

double largest_step_of(const at::Tensor& source, const at::Tensor& stored, GgufType type) {
  constexpr std::int64_t kPiece = std::int64_t{1} << 22;  // numbers compared at a time
  const at::Tensor a = source.reshape({-1});
  const at::Tensor b = stored.reshape({-1});
  double largest = 0;
  for (std::int64_t begin = 0; begin < a.numel(); begin += kPiece) {
    const std::int64_t count = std::min(kPiece, a.numel() - begin);
    const double step = largest_step(a.narrow(0, begin, count), b.narrow(0, begin, count), type);
    if (!(step <= largest)) largest = step;  // NaN too
  }
  return largest;
}

struct OpenFiles {
  std::shared_ptr<const GgufFile> text;
  std::shared_ptr<const GgufFile> vision;  // may be null

  const std::shared_ptr<const GgufFile>& of(GgufPart part) const { return part == GgufPart::kText ? text : vision; }
};

OpenFiles open_files(const fs::path& text, const std::optional<fs::path>& vision) {
  return {GgufFile::open(text), vision ? GgufFile::open(*vision) : nullptr};
}

void compare_tensors(const OpenFiles& files, const std::vector<PlannedTensor>& planned, const ModelConfig& config,
                     GgufCheck& check) {
  for (const PlannedTensor& tensor : planned) {
    const auto named = gguf_name(tensor.name, config);
    if (!named || files.of(named->part) == nullptr) continue;
    const GgufFile& file = *files.of(named->part);
    const GgufTensor* stored = file.find(named->name);
    if (stored == nullptr)
      throw internal_error(cat(file.path().string(), ": tensor ", named->name, " was not written"));
    const at::Tensor rows = separate_heads(file.load(*stored), named->interleaved_heads);
    const double steps = largest_step_of(tensor.load(), rows, stored->type);
    if (!(steps <= check.tensor_steps)) {
      check.tensor_steps = steps;
      check.tensor = named->name;
    }
  }
}

// A prompt that every model understands: tokens from all over the vocabulary, with a picture's first rows among them.
struct Prompt {
  std::vector<std::int64_t> ids;
  at::Tensor pixels;  // undefined for a language model alone
};

Prompt fixed_prompt(const ModelConfig& config) {
  constexpr std::int64_t kTokens = 16;
  constexpr std::int64_t kStride = 7919;  // a prime: ids from all over
  Prompt prompt;
  for (std::int64_t i = 0; i < kTokens; ++i) prompt.ids.push_back((i * kStride + 1) % config.decoder.vocab_size);
  if (!config.vision) return prompt;
  prompt.ids[1] = kImageToken;
  const std::int64_t size = config.vision->image_size;
  const at::Tensor ramp = at::arange(config.vision->channels * size * size, at::TensorOptions(at::kFloat));
  prompt.pixels = at::sin(ramp * 0.37).view({1, config.vision->channels, size, size});
  return prompt;
}

// Logits of the prompt's last tokens, [rows, vocab] fp32. One layer is in memory at a time.
at::Tensor logits_of(const ModelConfig& config, std::shared_ptr<const WeightFile> weights, const Prompt& prompt) {
  constexpr std::int64_t kPictureRows = 32;  // enough to meet every weight
  constexpr std::int64_t kLastRows = 8;
  const at::NoGradGuard no_grad;
  WeightSource source;
  source.add(std::move(weights));
  ModelConfig without_layers = config;
  without_layers.decoder.layers = 0;
  const Placement placement;  // fp32 on the CPU
  const Lvlm shell(without_layers, source, placement);
  Sample sample;
  sample.input_ids = prompt.ids;
  if (prompt.pixels.defined()) {
    const at::Tensor rows = shell.vision_features(prompt.pixels)[0];
    sample.images.push_back(rows.narrow(0, 0, std::min(kPictureRows, rows.size(0))));
  }
  const PackedBatch batch = pack({&sample, 1});
  StreamAttention attention(batch.cu_seqlens, config.decoder.sliding_window);
  const RotaryAngles angles = shell.decoder().angles(batch.positions);
  at::Tensor x = shell.embed(batch);
  for (std::int64_t i = 0; i < config.decoder.layers; ++i) {
    x = DecoderLayer(source, config.decoder, i, placement).forward(x, angles, attention);
  }
  return shell.logits(x.narrow(0, x.size(0) - kLastRows, kLastRows));
}

// What rounding every weight once may move a logit by, over the largest logit. Measured: docs/gguf.md.
double logits_tolerance(GgufType type) {
  switch (type) {
    case GgufType::kFloat32:
      return 1e-5;
    case GgufType::kFloat16:
      return 5e-3;
    case GgufType::kBFloat16:
      return 3e-2;
    case GgufType::kQ8_0:
      return 5e-2;
  }
  throw internal_error("unknown GGUF type");
}

// Of the coarsest type that a matrix is stored in.
double coarsest_tolerance(const OpenFiles& files) {
  double tolerance = 0;
  for (const auto& file : {files.text, files.vision}) {
    if (file == nullptr) continue;
    for (const GgufTensor& tensor : file->tensors()) tolerance = std::max(tolerance, logits_tolerance(tensor.type));
  }
  return tolerance;
}

std::shared_ptr<const WeightFile> weights_of(const OpenFiles& files, const ModelConfig& config) {
  const auto table = std::make_shared<TensorTable>();
  for (const TensorSpec& spec : expected_tensors(config)) {
    const auto named = gguf_name(spec.name, config);
    if (!named || files.of(named->part) == nullptr) continue;
    const std::shared_ptr<const GgufFile>& file = files.of(named->part);
    const GgufTensor* tensor = file->find(named->name);
    if (tensor == nullptr) continue;  // a model that needs it says so
    const at::ScalarType dtype = loaded_dtype(tensor->type);
    table->add(
        {file_name(spec.name, Naming::kOriginal), dtype, tensor->shape, bytes_of(tensor->shape, dtype), file->path()},
        [file, tensor, heads = named->interleaved_heads] { return separate_heads(file->load(*tensor), heads); });
  }
  return table;
}

}  // namespace

std::shared_ptr<const WeightFile> open_gguf_weights(const fs::path& text, const std::optional<fs::path>& vision,
                                                    const ModelConfig& config) {
  return weights_of(open_files(text, vision), config);
}

GgufCheck check_gguf(const GgufExport& exported, const Checkpoint& source, const ModelChange& change) {
  ModelConfig config = changed_config(source, change);
  const OpenFiles files =
      open_files(exported.text.path, exported.vision ? std::optional(exported.vision->path) : std::nullopt);
  if (files.vision == nullptr) {
    config.vision.reset();
    config.projector.reset();
  }
  const std::vector<PlannedTensor> planned = planned_tensors(source, change);
  GgufCheck check;
  check.tolerance = coarsest_tolerance(files);
  compare_tensors(files, planned, config, check);
  const Prompt prompt = fixed_prompt(config);
  const at::Tensor wanted = logits_of(config, planned_weights(planned), prompt);
  const at::Tensor got = logits_of(config, weights_of(files, config), prompt);
  const double largest = std::max(wanted.abs().max().item<double>(), 1e-30);
  check.logits = (wanted - got).abs().max().item<double>() / largest;
  return check;
}

}  // namespace striate

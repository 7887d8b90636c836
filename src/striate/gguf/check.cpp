#include "striate/gguf/check.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/gguf_reader.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/missing_tensor.h"
#include "striate/gguf/names.h"
#include "striate/model/lvlm.h"
#include "striate/model/tensor_list.h"

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

OpenFiles open_files(const GgufExport& exported) {
  return open_files(exported.text.path, exported.vision ? std::optional(exported.vision->path) : std::nullopt);
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

// The model that the files hold.
ModelConfig config_of(const GgufExport& exported, ModelConfig config) {
  if (!exported.vision) {
    config.vision.reset();
    config.projector.reset();
  }
  return config;
}

double rounding_of(GgufType type) {
  switch (type) {
    case GgufType::kFloat32:
      return 0x1p-24;
    case GgufType::kFloat16:
      return 0x1p-11;
    case GgufType::kBFloat16:
      return 0x1p-8;
    case GgufType::kQ8_0:
      return 0x1p-7;  // a step is 1 / 127 of a block's largest, which is about twice the root mean square
  }
  throw internal_error("unknown GGUF type");
}

// Every input as one sample of one stream.
PackedBatch packed(const Lvlm& model, const std::vector<ProbeInput>& inputs) {
  std::vector<Sample> samples;
  for (const ProbeInput& input : inputs) {
    Sample sample;
    sample.input_ids = input.token_ids;
    if (input.pixels.defined()) sample.images = {model.vision_features(input.pixels).squeeze(0)};
    samples.push_back(std::move(sample));
  }
  return pack(samples);
}

}  // namespace

std::shared_ptr<const WeightFile> open_gguf_weights(const fs::path& text, const std::optional<fs::path>& vision,
                                                    const ModelConfig& config) {
  return weights_of(open_files(text, vision), config);
}

GgufTensorCheck check_gguf_tensors(const GgufExport& exported, const Checkpoint& source, const ModelChange& change) {
  const ModelConfig config = changed_config(source, change);
  const OpenFiles files = open_files(exported);
  GgufTensorCheck check;
  for (const PlannedTensor& tensor : planned_tensors(source, change)) {
    const auto named = gguf_name(tensor.name, config);
    if (!named || files.of(named->part) == nullptr) continue;
    const GgufFile& file = *files.of(named->part);
    const GgufTensor* stored = file.find(named->name);
    if (stored == nullptr) throw internal_error(cat(file.path().string(), ": ", named->name, " was not written"));
    const at::Tensor rows = separate_heads(file.load(*stored), named->interleaved_heads);
    const double steps = largest_step_of(tensor.load(), rows, stored->type);
    ++check.tensors;
    if (steps <= check.half_steps) continue;
    check.half_steps = steps;
    check.tensor = named->name;
  }
  return check;
}

void require_same_tensors(const GgufTensorCheck& check, const std::string& what) {
  if (check.half_steps <= 1) return;
  throw resource_error(cat(what, ": tensor ", check.tensor, " differs from its source by ", check.half_steps,
                           " half steps of its type; 1 is allowed"),
                       "nothing was written; check the disk");
}

std::vector<ProbeInput> gguf_inputs(const GgufExport& exported, const ModelConfig& config) {
  return probe_inputs(config_of(exported, config));
}

std::vector<at::Tensor> gguf_logits(const GgufExport& exported, const ModelConfig& config,
                                    const std::vector<ProbeInput>& inputs) {
  const at::NoGradGuard no_grad;
  WeightSource source;
  source.add(weights_of(open_files(exported), config));
  ModelConfig without_layers = config_of(exported, config);
  without_layers.decoder.layers = 0;
  const Placement placement;  // fp32 on the CPU
  const Lvlm shell(without_layers, source, placement);
  const PackedBatch batch = packed(shell, inputs);
  StreamAttention attention(batch.cu_seqlens, config.decoder.sliding_window);
  const RotaryAngles angles = shell.decoder().angles(batch.positions);
  at::Tensor x = shell.embed(batch);
  for (std::int64_t i = 0; i < config.decoder.layers; ++i) {
    x = DecoderLayer(source, config.decoder, i, placement).forward(x, {}, angles, attention).sum();
  }
  std::vector<at::Tensor> logits;
  for (std::int64_t i = 0; i < batch.samples(); ++i) {
    const auto begin = batch.cu_seqlens[i].item<std::int64_t>();
    logits.push_back(shell.logits(x.slice(0, begin, batch.cu_seqlens[i + 1].item<std::int64_t>())));
  }
  return logits;
}

double gguf_tolerance(const GgufExport& exported, const ModelConfig& config, const GgufTensorCheck& check) {
  if (check.half_steps == 0) return logits_tolerance(0, 0);
  const OpenFiles files = open_files(exported);
  double rounding = 0;
  for (const auto& file : {files.text, files.vision}) {
    if (file == nullptr) continue;
    for (const GgufTensor& tensor : file->tensors()) rounding = std::max(rounding, rounding_of(tensor.type));
  }
  return logits_tolerance(rounding, config.decoder.layers);
}

}  // namespace striate

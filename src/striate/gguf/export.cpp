#include "striate/gguf/export.h"

#include <algorithm>
#include <cctype>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/files/gguf_writer.h"
#include "striate/gguf/metadata.h"
#include "striate/gguf/names.h"
#include "striate/gguf/tokenizer.h"
#include "striate/model/picture_settings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// One tensor of a file, not read yet.
struct Output {
  GgufWriter::Entry entry;
  std::int64_t interleaved_heads;
  std::function<at::Tensor()> load;
};

GgufType tensor_type(const std::string& name, const std::vector<std::int64_t>& shape, GgufType type) {
  if (shape.size() < 2 || name == "v.position_embd.weight") return GgufType::kFloat32;
  if (name == "v.patch_embd.weight") return type == GgufType::kFloat16 ? type : GgufType::kFloat32;
  if (type == GgufType::kQ8_0 && shape.back() % kQ8Block != 0) return GgufType::kFloat16;
  return type;
}

GgufType vision_type(const GgufOptions& options) {
  if (options.vision_type) return *options.vision_type;
  return options.type == GgufType::kQ8_0 ? GgufType::kFloat16 : options.type;
}

std::vector<Output> outputs_of(const std::vector<PlannedTensor>& planned, const ModelConfig& config, GgufPart part,
                               GgufType type) {
  std::vector<Output> outputs;
  if (const auto factors = part == GgufPart::kText ? gguf_rope_factors(config.decoder) : std::nullopt) {
    outputs.push_back(
        {{"rope_freqs.weight", GgufType::kFloat32, factors->sizes().vec()}, 0, [factors] { return *factors; }});
  }
  for (const PlannedTensor& tensor : planned) {
    const auto named = gguf_name(tensor.name, config);
    if (!named || named->part != part) continue;
    outputs.push_back({{named->name, tensor_type(named->name, tensor.shape, type), tensor.shape},
                       named->interleaved_heads,
                       tensor.load});
  }
  return outputs;
}

std::vector<GgufWriter::Entry> entries_of(const std::vector<Output>& outputs) {
  std::vector<GgufWriter::Entry> entries;
  for (const Output& output : outputs) entries.push_back(output.entry);
  return entries;
}

std::uint64_t data_bytes(const std::vector<Output>& outputs) {
  std::uint64_t bytes = 0;
  for (const Output& output : outputs) bytes += gguf_tensor_bytes(output.entry.type, output.entry.shape).value_or(0);
  return bytes;
}

std::uint64_t parameters_of(const std::vector<Output>& outputs) {
  std::uint64_t count = 0;
  for (const Output& output : outputs) {
    std::uint64_t numbers = 1;
    for (const std::int64_t size : output.entry.shape) numbers *= static_cast<std::uint64_t>(size);
    count += numbers;
  }
  return count;
}

std::string file_name(const std::string& name, GgufType type) {
  std::string kind = gguf_type_name(type);
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return std::toupper(c); });
  return cat(name, "-", kind, ".gguf");
}

// Counts bytes over both files.
class Steps {
 public:
  Steps(const GgufOptions& options, std::uint64_t total) : options_(options), total_(total) {}
  void advance(std::uint64_t bytes) {
    done_ += bytes;
    if (options_.progress) options_.progress(done_, total_);
  }

 private:
  const GgufOptions& options_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
};

GgufFileSummary write_file_of(const OutputPath& path, const GgufMetadata& metadata, const std::vector<Output>& outputs,
                              Steps& steps) {
  GgufWriter writer(path, metadata, entries_of(outputs));
  for (const Output& output : outputs) {
    writer.append(interleave_heads(output.load(), output.interleaved_heads));
    steps.advance(*gguf_tensor_bytes(output.entry.type, output.entry.shape));
  }
  writer.commit();
  return {path.path(), outputs.size(), writer.file_bytes()};
}

}  // namespace

GgufExport write_gguf(const fs::path& folder, const Checkpoint& source, const ModelChange& change,
                      const GgufOptions& options) {
  ModelConfig config = changed_config(source, change);
  if (!options.with_vision) {
    config.vision.reset();
    config.projector.reset();
  }
  require_gguf_support(config);
  GgufMetadata tokenizer = gguf_tokenizer(source.folder, config.decoder, default_template(config.family));
  std::vector<PlannedTensor> planned = planned_tensors(source, change);
  if (!config.vision) {
    std::erase_if(planned, [](const PlannedTensor& tensor) {
      return !tensor.name.starts_with("model.") && !tensor.name.starts_with("lm_head.");
    });
  }
  const std::vector<Output> text = outputs_of(planned, config, GgufPart::kText, options.type);
  const std::vector<Output> vision = outputs_of(planned, config, GgufPart::kVision, vision_type(options));
  const std::uint64_t total = data_bytes(text) + data_bytes(vision);
  require_space(folder, total);

  Steps steps(options, total);
  GgufMetadata metadata = gguf_text_metadata(config, options.name, parameters_of(text), options.type);
  if (!options.original_layers.empty()) {
    std::vector<std::int32_t> original(options.original_layers.begin(), options.original_layers.end());
    metadata.emplace_back("striate.original_layers", GgufArray(std::move(original)));
  }
  metadata.insert(metadata.end(), std::make_move_iterator(tokenizer.begin()), std::make_move_iterator(tokenizer.end()));
  GgufExport made;
  made.text = write_file_of(OutputPath::inside(folder, file_name(options.name, options.type)), metadata, text, steps);
  if (config.vision) {
    const GgufMetadata keys =
        gguf_vision_metadata(config, preprocess_config(config, source.folder), options.name, vision_type(options));
    made.vision = write_file_of(OutputPath::inside(folder, "mmproj-" + file_name(options.name, vision_type(options))),
                                keys, vision, steps);
  }
  return made;
}

GgufType parse_gguf_type(const std::string& text, const std::string& flag) {
  for (const GgufType type : {GgufType::kFloat32, GgufType::kFloat16, GgufType::kBFloat16, GgufType::kQ8_0}) {
    if (gguf_type_name(type) == text) return type;
  }
  throw invalid_input(cat(flag, " ", text, ": unknown type"), "known: f32, f16, bf16, q8_0");
}

}  // namespace striate

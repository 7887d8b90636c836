#include "striate/edit/model_folder.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <map>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/edit/config_layers.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/sharded_writer.h"
#include "striate/model/config_writer.h"
#include "striate/model/picture_settings.h"
#include "striate/model/tensor_list.h"
#include "striate/model/tower_folder.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kGeneration = "generation_config.json";
constexpr const char* kPreprocessor = "preprocessor_config.json";

// Configuration, tokenizer and code of a model folder: what is no weight, no index of weights and no record of ours.
bool is_description(const fs::path& file) {
  constexpr std::array<std::string_view, 7> kEndings = {".json", ".model", ".txt", ".jinja", ".py", ".gz", ".tiktoken"};
  const std::string name = file.filename().string();
  if (name.ends_with(".index.json") || name == "striate.json" || name == "run.json" || name == "manifest.json") {
    return false;
  }
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

// Those in `subfolder` (may be empty) of the source's folder, to the same place in the output's.
void copy_descriptions(const fs::path& source, const fs::path& folder, const fs::path& subfolder) {
  for (const fs::path& file : entries_of(source / subfolder)) {
    if (!is_description(file) || !is_file(file)) continue;
    write_file(OutputPath::inside(folder, subfolder / file.filename()), read_file(file));
  }
}

bool describes(const fs::path& folder, const ModelConfig& config) {
  try {
    const ModelConfig read = read_model_config(folder);
    const std::vector<TensorSpec> a = expected_tensors(read);
    const std::vector<TensorSpec> b = expected_tensors(config);
    return read.family == config.family &&
           std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const TensorSpec& x, const TensorSpec& y) { return x.name == y.name && x.shape == y.shape; });
  } catch (const Error&) {
    return false;
  }
}

void patch_dtype(nlohmann::json& config, at::ScalarType dtype) {
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (config.contains(key)) config[key] = torch_dtype_name(dtype);
  }
}

// config.json as the source has it, with the layers that stay and the type of the weights.
void patch_config(const fs::path& folder, const Checkpoint& source, const ModelChange& change,
                  const FolderOptions& options, at::ScalarType dtype) {
  nlohmann::json config = read_json_file(folder / kConfig);
  const LayerSet kept = kept_layers(source, change);
  patch_dtype(config, dtype);
  if (options.dtype) {
    for (const char* part : {"text_config", "vision_config"}) {
      if (config.contains(part) && config[part].is_object()) patch_dtype(config[part], *options.dtype);
    }
  }
  if (kept.count() < kept.depth()) {
    nlohmann::json& decoder = source.config.files().nested_decoder ? config["text_config"] : config;
    decoder = config_of_layers(decoder, kept);
  }
  write_file(OutputPath::inside(folder, kConfig), config.dump(2) + "\n");
}

// A tower that was given from elsewhere may have brought the picture settings: the model's folder keeps them, where
// they are read before those of a tower's folder inside it.
void keep_picture_settings(const fs::path& folder, const Checkpoint& source) {
  if (!source.config.vision) return;
  const auto used = processor_settings(source.config, source.folder);
  if (!used) return;
  const auto copied = processor_settings(read_model_config(folder), folder);
  if (copied && *copied == *used) return;
  write_file(OutputPath::inside(folder, kPreprocessor), used->dump(2) + "\n");
}

// The source's own files where they describe this model; a configuration of our own for one that was put together from
// parts, or whose tower's shape is not told by its folder.
void write_descriptions(const fs::path& folder, const Checkpoint& source, const ModelChange& change,
                        const FolderOptions& options, at::ScalarType dtype) {
  copy_descriptions(source.folder, folder, "");
  std::optional<fs::path> tower;
  if (!source.of_parts) tower = tower_folder_inside(source.folder, source.config.vision_tower_name);
  if (tower) copy_descriptions(source.folder, folder, *tower);
  ModelConfig config = changed_config(source, change);
  if (describes(source.folder, source.config)) {
    patch_config(folder, source, change, options, dtype);
    keep_picture_settings(folder, source);
    if (!describes(folder, config)) throw internal_error("the configuration written describes another model");
    return;
  }
  config.vision_tower_name = tower ? tower->string() : tower_folder_name(config.vision->kind);
  const LayerSet kept = kept_layers(source, change);
  config.raw = config_of_layers(config.raw, kept);
  const auto processor = processor_settings(source.config, source.folder);
  for (const auto& [name, contents] : assembled_config_files(config, processor, dtype)) {
    if (name == kGeneration && is_file(source.folder / name)) continue;  // copied
    write_file(OutputPath::inside(folder, name), contents.dump(2) + "\n");
  }
  if (!describes(folder, config)) throw internal_error("the configuration written describes another model");
}

// One tensor of the files to be written.
struct Output {
  PlannedTensor plan;
  at::ScalarType dtype;
};

// The weights take the type asked for; what other loaders keep beside them (buffers) stays as it is.
std::vector<Output> outputs_of(const Checkpoint& source, const ModelChange& change, const FolderOptions& options) {
  std::vector<Output> outputs;
  for (PlannedTensor& plan : planned_tensors(source, change)) {
    const at::ScalarType dtype = options.dtype.value_or(plan.dtype);
    outputs.push_back({std::move(plan), dtype});
  }
  for (PlannedTensor& plan : planned_extras(source, change)) {
    const at::ScalarType dtype = at::isFloatingType(plan.dtype) ? options.dtype.value_or(plan.dtype) : plan.dtype;
    outputs.push_back({std::move(plan), dtype});
  }
  return outputs;
}

// Sums of products over all merged matrices: of the change with itself, and with what is left of it.
struct ChangeKept {
  double wanted = 0;
  double left = 0;

  // In blocks of rows: no fp32 copies of whole matrices.
  void add(const at::Tensor& before, const at::Tensor& exact, const at::Tensor& rounded) {
    constexpr std::int64_t kRows = 512;
    for (std::int64_t row = 0; row < exact.size(0); row += kRows) {
      const at::Tensor old = before.slice(0, row, row + kRows).to(at::kFloat);
      const at::Tensor change = exact.slice(0, row, row + kRows) - old;
      const at::Tensor outcome = rounded.slice(0, row, row + kRows).to(at::kFloat) - old;
      wanted += (change * change).sum(at::kDouble).item<double>();
      left += (change * outcome).sum(at::kDouble).item<double>();
    }
  }
};

at::Tensor rounded_to(const at::Tensor& value, const Output& output) {
  at::Tensor rounded = value.to(output.dtype).contiguous();
  const bool narrower = output.dtype == at::kHalf && value.scalar_type() != at::kHalf;
  if (narrower && !rounded.isfinite().all().item<bool>() && value.isfinite().all().item<bool>()) {
    throw invalid_input(cat("tensor ", output.plan.file_name, " has values that fp16 cannot hold (beyond 65504)"),
                        "write it as bf16 or fp32");
  }
  return rounded;
}

// The writers of the model's own folder and of its vision tower's.
std::map<std::string, ShardedWriter> open_writers(const fs::path& folder, const std::vector<Output>& outputs,
                                                  std::uint64_t max_shard_bytes) {
  std::map<std::string, std::vector<SafetensorsWriter::Entry>> entries;
  for (const Output& output : outputs) {
    entries[output.plan.subfolder].push_back({output.plan.file_name, output.dtype, output.plan.shape});
  }
  std::map<std::string, ShardedWriter> writers;
  for (auto& [subfolder, list] : entries) {
    writers.try_emplace(subfolder, folder, subfolder, std::move(list), max_shard_bytes);
  }
  return writers;
}

FolderResult write_weights(const fs::path& folder, const std::vector<Output>& outputs, const FolderOptions& options) {
  std::map<std::string, ShardedWriter> writers = open_writers(folder, outputs, options.max_shard_bytes);
  FolderResult result;
  for (const auto& [subfolder, writer] : writers) {
    result.bytes += writer.bytes();
    result.weight_files += writer.files();
  }
  require_space(folder, result.bytes);
  ChangeKept kept;
  std::uint64_t done = 0;
  for (const Output& output : outputs) {
    const at::Tensor value = output.plan.load();
    const at::Tensor rounded = rounded_to(value, output);
    const bool loses = c10::elementSize(output.dtype) < c10::elementSize(value.scalar_type()) ||
                       (value.scalar_type() != output.dtype && output.dtype != at::kFloat);
    if (loses) result.rounding = std::max(result.rounding, rounding_of(output.dtype));
    if (output.plan.load_unmerged) kept.add(output.plan.load_unmerged(), value, rounded);
    writers.at(output.plan.subfolder).append(rounded);
    done += rounded.nbytes();
    if (options.progress) options.progress(done, result.bytes);
  }
  for (auto& [subfolder, writer] : writers) writer.commit();
  result.tensors = outputs.size();
  if (kept.wanted > 0) result.change_kept = kept.left / kept.wanted;
  return result;
}

}  // namespace

double rounding_of(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return 1.0 / (1 << 8);
  return dtype == at::kHalf ? 1.0 / (1 << 11) : 0.0;
}

FolderResult write_model_folder(const fs::path& folder, const Checkpoint& source, const ModelChange& change,
                                const FolderOptions& options) {
  if (options.max_shard_bytes == 0) throw invalid_input("`max_shard_size` 0 is too small", "give a size such as 5GB");
  const std::vector<Output> outputs = outputs_of(source, change, options);
  write_descriptions(folder, source, change, options, outputs.front().dtype);
  if (const auto pad = source.config.padding_asked; pad && source.config.vision) {
    write_padding(folder, read_model_config(folder), *pad);
  }
  const FolderResult result = write_weights(folder, outputs, options);
  if (options.record) options.record->write(folder);
  return result;
}

}  // namespace striate

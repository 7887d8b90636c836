// A trained model as a complete Hugging Face folder.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <map>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/model/config_writer.h"
#include "striate/model/name_map.h"
#include "striate/model/tensor_list.h"
#include "striate/tensor/sharded_writer.h"
#include "striate/train/adapter_out.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTowerFolder = "vision_tower";

// Configuration, tokenizer and code of a model folder: what is no weight, no index of weights and no record of ours.
bool is_description(const fs::path& file) {
  constexpr std::array<std::string_view, 7> kEndings = {".json", ".model", ".txt", ".jinja", ".py", ".gz", ".tiktoken"};
  const std::string name = file.filename().string();
  if (name.ends_with(".index.json") || name == "striate.json" || name == "run.json" || name == "manifest.json") {
    return false;
  }
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) { return name.ends_with(ending); });
}

void copy_descriptions(const fs::path& from, const fs::path& to) {
  fs::create_directories(to);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    if (entry.is_regular_file() && is_description(entry.path())) {
      write_file(to / entry.path().filename(), read_file(entry.path()));
    }
  }
}

bool is_inside(const std::string& name) {
  return !name.empty() && name.find("..") == std::string::npos && !fs::path(name).is_absolute();
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

void patch_dtype(const fs::path& file, at::ScalarType dtype) {
  nlohmann::json config = read_json_file(file);
  for (const char* key : {"torch_dtype", "dtype"}) {
    if (config.contains(key)) config[key] = torch_dtype_name(dtype);
  }
  write_file(file, config.dump(2) + "\n");
}

// The base's own files where they describe this model; a configuration of our own for one that was put together from
// parts, or whose tower's shape is not told by its folder.
void write_descriptions(const fs::path& folder, const Checkpoint& base, at::ScalarType dtype) {
  copy_descriptions(base.folder, folder);
  const std::string& tower = base.config.vision_tower_name;
  if (is_inside(tower) && fs::is_directory(base.folder / tower)) {
    copy_descriptions(base.folder / tower, folder / tower);
  }
  if (describes(folder, base.config)) {
    patch_dtype(folder / "config.json", dtype);
    return;
  }
  ModelConfig config = base.config;
  if (config.family != Family::kLlavaHf) config.vision_tower_name = kTowerFolder;
  for (const auto& [name, contents] : config_files(config, dtype)) {
    fs::create_directories((folder / name).parent_path());
    write_file(folder / name, contents.dump(2) + "\n");
  }
  if (!describes(folder, config)) throw internal_error("the configuration written describes another model");
}

// What becomes of one tensor.
struct Output {
  std::string name;
  const TensorInfo* info;  // nullptr for one the base does not have
  std::shared_ptr<const WeightFile> file;
  std::shared_ptr<Parameter> trained;
  at::ScalarType dtype;
};

std::vector<Output> outputs_of(const Tunable& tunable, const Checkpoint& base,
                               const std::optional<at::ScalarType>& dtype) {
  std::map<std::string, std::shared_ptr<Parameter>> trained;
  for (const auto& parameter : tunable.parameters().all()) {
    if (parameter->group == ParameterGroup::kAdapter) {
      throw unsupported("a model with an adapter beside it cannot be written whole",
                        "write the adapter, then merge it");
    }
    trained[parameter->name] = parameter;
  }
  const bool tied = base.config.decoder.tie_embeddings;
  const bool llava = base.config.family == Family::kLlavaHf;
  const Naming naming = base.weights.naming().value_or(llava ? Naming::kLlavaHf : Naming::kOriginal);
  std::vector<Output> outputs;
  at::ScalarType usual = at::kFloat;
  for (const TensorSpec& spec : expected_tensors(base.config)) {
    if (tied && spec.name == "lm_head.weight") continue;
    const WeightSource::Entry* entry = base.weights.find(spec.name);
    const auto parameter = trained.find(spec.name);
    if (entry == nullptr && parameter == trained.end()) continue;
    if (entry != nullptr) usual = entry->info->dtype;
    outputs.push_back({file_name(spec.name, naming), entry != nullptr ? entry->info : nullptr,
                       entry != nullptr ? entry->file : nullptr,
                       parameter != trained.end() ? parameter->second : nullptr, dtype.value_or(usual)});
    if (parameter != trained.end()) trained.erase(parameter);
  }
  if (!trained.empty()) throw internal_error(trained.begin()->first + " has no place in the model's files");
  return outputs;
}

at::Tensor contents_of(const Output& output) {
  const at::Tensor value = output.trained ? output.trained->value.cpu() : output.file->load(output.info->name);
  return value.to(output.dtype).contiguous();
}

}  // namespace

void write_model(const fs::path& folder, const Tunable& tunable, const Checkpoint& base,
                 const ModelOutOptions& options) {
  fs::create_directories(folder);
  const std::vector<Output> outputs = outputs_of(tunable, base, options.dtype);
  std::vector<SafetensorsWriter::Entry> entries;
  for (const Output& output : outputs) {
    const auto shape = output.trained ? output.trained->value.sizes().vec() : output.info->shape;
    entries.push_back({output.name, output.dtype, shape});
  }
  ShardedWriter writer(folder, std::move(entries), options.max_shard_bytes);
  for (const Output& output : outputs) writer.append(contents_of(output));
  writer.commit();
  write_descriptions(folder, base, outputs.front().dtype);
}

}  // namespace striate

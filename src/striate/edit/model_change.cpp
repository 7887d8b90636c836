#include "striate/edit/model_change.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/model/adapter_file.h"
#include "striate/model/tensor_list.h"
#include "striate/model/tower_folder.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";

std::string layer_name(std::int64_t layer, const std::string& rest) {
  return cat("model.layers.", layer, ".", rest);
}

// The folder a file lies in, with links followed; a bare name lies in the current one.
fs::path folder_of(const fs::path& file) {
  return real_path(file.has_parent_path() ? file.parent_path() : fs::path("."));
}

class Planner {
 public:
  Planner(const Checkpoint& source, const ModelChange& change)
      : source_(source), change_(change), numbers_(new_layer_numbers(kept_layers(source, change))) {
    naming_ = source.weights.naming().value_or(source.config.files().naming);
    const WeightSource::Entry* embedding = source.weights.find(kEmbedding);
    if (embedding != nullptr) usual_ = embedding->info->dtype;
    if (source.adapter) adapter_ = std::make_shared<const AdapterFile>(*source.adapter);
    folder_ = real_path(source.folder);
    if (source.of_parts) {
      apart_ = real_path(*source.config.tower_folder);
    } else {
      tower_ = tower_folder_inside(folder_, source.config.vision_tower_name);
    }
    tower_apart_ = lies_apart();
    check_adapter();
  }

  std::vector<PlannedTensor> tensors() {
    std::map<std::string, std::function<at::Tensor()>> replaced = change_.replaced;
    std::vector<PlannedTensor> list;
    for (const TensorSpec& spec : expected_tensors(source_.config)) {
      if (spec.name == kHead && source_.config.decoder.tie_embeddings) continue;
      const bool decoder_layer = spec.part == Part::kDecoder && spec.layer >= 0;
      if (decoder_layer && !numbers_.contains(spec.layer)) {
        replaced.erase(spec.name);
        continue;
      }
      const auto given = replaced.find(spec.name);
      if (auto tensor = plan(spec, given == replaced.end() ? nullptr : &given->second)) {
        list.push_back(std::move(*tensor));
      }
      if (given != replaced.end()) replaced.erase(given);
    }
    if (!replaced.empty()) throw internal_error(replaced.begin()->first + " has no place in the model's files");
    return list;
  }

  std::vector<PlannedTensor> extras() const {
    std::vector<PlannedTensor> list;
    for (const WeightSource::Entry& entry : source_.weights.unknown()) {
      const TensorInfo& info = *entry.info;
      const auto subfolder = inside(info.file);
      if (comes_apart(info.file) && is_pooling_head(info.name)) {
        list.push_back(
            {info.name, info.name, source_.config.vision_tower_name, info.shape, info.dtype, stored(entry), {}});
      }
      if (!subfolder || (!subfolder->empty() && !tower_apart_)) continue;
      const auto name = renumbered(info.name);
      if (!name) continue;
      list.push_back({*name, *name, *subfolder, info.shape, info.dtype, stored(entry), {}});
    }
    return list;
  }

 private:
  using Load = std::function<at::Tensor()>;

  static Load stored(const WeightSource::Entry& entry) {
    return [file = entry.file, name = entry.info->name] { return file->load(name).contiguous(); };
  }

  // The place of a file in the source's folder; nullopt for files from elsewhere.
  std::optional<std::string> inside(const fs::path& file) const {
    const fs::path parent = folder_of(file);
    if (parent == folder_) return "";
    if (tower_ && parent == real_path(folder_ / *tower_)) return tower_->string();
    return std::nullopt;
  }

  // Whether the file is the tower's of a model in parts: its tensors go to the tower's own folder, under their own
  // names.
  bool comes_apart(const fs::path& file) const { return source_.of_parts && folder_of(file) == apart_; }

  // SigLIP's, which its class looks for.
  static bool is_pooling_head(const std::string& name) {
    return name.starts_with("vision_model.head.") || name.starts_with("head.");
  }

  // Whether the whole vision tower has a folder of its own in the source's. Where a part of it comes from elsewhere,
  // all of it goes to the model's own files.
  bool lies_apart() const {
    std::size_t apart = 0;
    for (const auto& [name, entry] : source_.weights.entries()) {
      if (!name.starts_with("vision.")) continue;
      const auto subfolder = inside(entry.info->file);
      if (!subfolder || subfolder->empty()) return false;
      ++apart;
    }
    return apart > 0;
  }

  // A name in the files with its decoder layer's new number; nullopt for a layer that goes. Names outside the decoder's
  // layers stay.
  std::optional<std::string> renumbered(const std::string& in_file) const {
    for (const char* prefix : {"model.layers.", "language_model.model.layers.", "model.language_model.layers.",
                               "language_model.layers.", "layers."}) {
      if (!in_file.starts_with(prefix)) continue;
      const auto parts = split_layer_name("model.layers." + in_file.substr(std::string_view(prefix).size()));
      if (!parts) return in_file;
      const auto number = numbers_.find(parts->first);
      if (number == numbers_.end()) return std::nullopt;
      return cat(prefix, number->second, ".", parts->second);
    }
    return in_file;
  }

  void check_adapter() const {
    if (!adapter_) return;
    const std::vector<LinearShape> linears = decoder_linears(source_.config.decoder);
    for (const AdapterPair& pair : adapter_->pairs()) {
      const auto found = std::find_if(linears.begin(), linears.end(),
                                      [&](const LinearShape& linear) { return linear.name == pair.linear; });
      const bool known = pair.layer < source_.config.decoder.layers && found != linears.end();
      const bool product = pair.a->shape[0] == pair.b->shape[1];
      if (known && product && pair.a->shape[1] == found->in && pair.b->shape[0] == found->out) continue;
      throw corrupt_data(cat(adapter_->where(), ": the adapter on layer ", pair.layer, ", ", pair.linear,
                             known ? ", has another shape" : ", does not match any weight of the model"),
                         "the adapter belongs to another model");
    }
  }

  std::optional<PlannedTensor> plan(const TensorSpec& spec, const Load* given) {
    const bool layered = spec.part == Part::kDecoder && spec.layer >= 0;
    PlannedTensor tensor;
    tensor.name = spec.name;
    tensor.shape = spec.shape;
    if (layered) tensor.name = layer_name(numbers_.at(spec.layer), split_layer_name(spec.name)->second);
    const WeightSource::Entry* entry = source_.weights.find(spec.name);
    const auto donated = layered ? change_.from_donor.find(spec.layer) : change_.from_donor.end();
    if (entry == nullptr && given == nullptr && spec.part == Part::kVisionTower) return std::nullopt;
    if (given == nullptr || entry != nullptr) source_.weights.load(spec.name, spec.shape);  // refuses what is not so
    place(tensor, entry);
    if (donated != change_.from_donor.end()) {
      take_from_donor(tensor, donated->second, spec);
    } else if (given != nullptr) {
      tensor.load = *given;
    } else {
      tensor.load = stored(*entry);
      if (layered && adapter_) merge(tensor, spec);
    }
    return tensor;
  }

  // Name, place and type in the files.
  void place(PlannedTensor& tensor, const WeightSource::Entry* entry) const {
    const auto subfolder = entry != nullptr ? inside(entry->info->file) : std::nullopt;
    tensor.file_name = file_name(tensor.name, naming_);
    tensor.dtype = usual_;
    if (subfolder && (subfolder->empty() || tower_apart_)) {
      tensor.subfolder = *subfolder;
      if (const auto name = renumbered(entry->info->name)) tensor.file_name = *name;
    }
    if (entry == nullptr) return;
    if (comes_apart(entry->info->file) && tensor.name.starts_with("vision.")) {
      tensor.subfolder = source_.config.vision_tower_name;
      tensor.file_name = entry->info->name;
    }
    // What was trained beside an adapter is in training's fp32: it takes the model's type.
    const bool beside = adapter_ && entry->info->file == find_non_lora(adapter_->folder());
    if (!beside) tensor.dtype = entry->info->dtype;
  }

  void take_from_donor(PlannedTensor& tensor, std::int64_t layer, const TensorSpec& spec) const {
    const std::string name = layer_name(layer, split_layer_name(spec.name)->second);
    const WeightSource::Entry* entry = change_.donor->weights.find(name);
    if (entry == nullptr || entry->info->shape != spec.shape) {
      const std::string found = entry == nullptr ? "is missing" : cat("is ", shape_text(entry->info->shape));
      throw invalid_input(cat(change_.donor->folder.string(), ": tensor ", name, " ", found,
                              ", but the tuned model's is ", shape_text(spec.shape)),
                          "the base must be the model that was tuned");
    }
    change_.donor->weights.load(name, spec.shape);  // refuses types that are no weights
    tensor.dtype = entry->info->dtype;
    tensor.load = stored(*entry);
  }

  void merge(PlannedTensor& tensor, const TensorSpec& spec) const {
    constexpr std::string_view kWeight = ".weight";
    const std::string rest = split_layer_name(spec.name)->second;
    if (!rest.ends_with(kWeight)) return;
    const AdapterPair* pair = adapter_->find(spec.layer, rest.substr(0, rest.size() - kWeight.size()));
    if (pair == nullptr) return;
    tensor.load_unmerged = tensor.load;
    tensor.load = [adapter = adapter_, pair, unmerged = tensor.load] {
      at::Tensor weight = unmerged().to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
      const AdapterUpdate update = adapter->update(*pair, weight);
      return weight.addmm_(update.b, update.a, /*beta=*/1, update.scale);
    };
  }

  const Checkpoint& source_;
  const ModelChange& change_;
  std::map<std::int64_t, std::int64_t> numbers_;
  Naming naming_ = Naming::kOriginal;
  at::ScalarType usual_ = at::kFloat;
  std::shared_ptr<const AdapterFile> adapter_;
  fs::path folder_;
  std::optional<fs::path> tower_;  // the vision tower's own folder in the source's
  fs::path apart_;                 // where the tower of a model in parts lies
  bool tower_apart_ = false;
};

}  // namespace

LayerSet kept_layers(const Checkpoint& source, const ModelChange& change) {
  const std::int64_t layers = source.config.decoder.layers;
  if (change.keep.empty()) return LayerSet::all(layers);
  if (change.keep.depth() == layers) return change.keep;
  throw invalid_input(cat("layers of a decoder of ", change.keep.depth(), " cannot be kept of a decoder of ", layers),
                      "give the layers of this model that stay");
}

std::map<std::int64_t, std::int64_t> new_layer_numbers(const LayerSet& kept) {
  std::map<std::int64_t, std::int64_t> numbers;
  for (const std::int64_t layer : kept) numbers.emplace(layer, static_cast<std::int64_t>(numbers.size()));
  return numbers;
}

ModelConfig changed_config(const Checkpoint& source, const ModelChange& change) {
  ModelConfig config = source.config;
  config.decoder.layers = kept_layers(source, change).count();
  return config;
}

std::vector<PlannedTensor> planned_tensors(const Checkpoint& source, const ModelChange& change) {
  return Planner(source, change).tensors();
}

std::vector<PlannedTensor> planned_extras(const Checkpoint& source, const ModelChange& change) {
  return Planner(source, change).extras();
}

}  // namespace striate

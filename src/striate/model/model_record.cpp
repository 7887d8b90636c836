#include "striate/model/model_record.h"

#include <utility>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/model/config_bounds.h"
#include "striate/model/config_reader.h"
#include "striate/model/picture_settings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFile = "striate.json";
constexpr const char* kAspect = "image_aspect";
constexpr const char* kBaseWeights = "base_weights";
constexpr const char* kBaseRecord = "base_history";

Error wrong_record(const std::string& where, const std::string& what) {
  return corrupt_data(cat(where, ": ", what),
                      "the file belongs to another model: remove it to continue without a history");
}

LayerSet read_origin(const json& found, std::int64_t layers, const std::string& where) {
  const ConfigReader reader(found, where + ": layers");
  const std::int64_t depth = reader.integer("of", 0, 1, kMostLayers);
  const std::vector<std::int64_t> original = reader.integers("original", 0, kMostLayers);
  if (depth == 0) throw wrong_record(where, R"("layers" is not {"of": N, "original": [...]})");
  if (static_cast<std::int64_t>(original.size()) != layers) {
    throw wrong_record(where, cat("a history of ", original.size(), " layers, but the model has ", layers));
  }
  std::int64_t before = -1;
  for (const std::int64_t layer : original) {
    if (layer <= before || layer >= depth) {
      throw wrong_record(where, cat("original layer ", layer, " is out of order or beyond ", depth, " layers"));
    }
    before = layer;
  }
  return {depth, original};
}

}  // namespace

ModelRecord::ModelRecord() : ModelRecord(json::object(), kFile) {}

ModelRecord::ModelRecord(json fields, std::string where)
    : fields_(std::make_shared<const json>(std::move(fields))), where_(std::move(where)) {}

ModelRecord::ModelRecord(std::shared_ptr<const json> fields, std::string where)
    : fields_(std::move(fields)), where_(std::move(where)) {}

std::optional<ModelRecord> ModelRecord::find(const fs::path& folder, const char* name) {
  const fs::path file = folder / name;
  if (!is_file(file)) return std::nullopt;
  return ModelRecord(read_json_file(file, kHistoryJson), file.string());
}

void ModelRecord::write(const fs::path& folder) const {
  write_file(OutputPath::inside(folder, kFile), fields_->dump(2) + "\n");
}

std::string ModelRecord::base() const {
  const bool said = fields_->is_object() && fields_->contains("base") && fields_->at("base").is_string();
  return said ? fields_->at("base").get<std::string>() : "";
}

std::optional<bool> ModelRecord::pads() const {
  const ConfigReader reader(*fields_, where_);
  if (!reader.has(kAspect)) return std::nullopt;
  const std::string aspect = reader.text(kAspect, "");
  if (aspect != image_aspect_name(true) && aspect != image_aspect_name(false)) {
    throw reader.wrong(kAspect, "\"pad\" or \"crop\"");
  }
  return aspect == image_aspect_name(true);
}

std::optional<BaseWeights> ModelRecord::base_weights() const {
  BaseWeights base;
  try {
    if (fields_->contains(kBaseWeights)) {
      const json& entry = fields_->at(kBaseWeights);
      base.layers = entry.at("layers").get<std::int64_t>();
      base.decoder =
          DecoderFingerprint{entry.at("shapes").get<std::string>(), entry.at("content").get<std::string>(),
                             entry.at("dtypes").get<std::string>(), entry.at("sample").get<std::vector<float>>()};
      return base;
    }
    (void)fields_->value("base", "");
    if (!fields_->contains("region") || !fields_->at("region").is_object()) return std::nullopt;
    base.layers = fields_->at("region").at("of").get<std::int64_t>();
    return base;
  } catch (const json::exception&) {
    throw corrupt_data(where_ + ": the record of the adapter's base model is damaged",
                       "remove the file to use the adapter without this record");
  }
}

bool ModelRecord::tuned_layers() const {
  if (!fields_->is_object() || !fields_->contains("region") || !fields_->at("region").is_object()) return false;
  const json& region = fields_->at("region");
  return !region.contains("layers") || !region.at("layers").is_array() || !region.at("layers").empty();
}

LayerSet ModelRecord::region() const {
  return LayerSet::from_record(ConfigReader(*fields_, where_).at("region"), where_ + ": region");
}

LayerSet ModelRecord::origin(std::int64_t layers) const {
  for (const json* step = fields_.get(); step->is_object();) {
    if (step->contains("layers")) return read_origin(step->at("layers"), layers, where_);
    if (!step->contains(kBaseRecord)) break;
    step = &step->at(kBaseRecord);
  }
  return LayerSet::all(layers);
}

std::optional<ModelRecord> ModelRecord::part(const char* key) const {
  if (!fields_->is_object() || !fields_->contains(key) || !fields_->at(key).is_object()) return std::nullopt;
  return ModelRecord(std::shared_ptr<const json>(fields_, &fields_->at(key)), where_);
}

std::optional<ModelRecord> ModelRecord::base_record() const {
  return part(kBaseRecord);
}

std::optional<ModelRecord> ModelRecord::adapter_record() const {
  const std::optional<ModelRecord> adapter = part("adapter");
  return adapter ? adapter->part("history") : std::nullopt;
}

void ModelRecord::note(const char* key, json value) {
  json changed = *fields_;
  changed[key] = std::move(value);
  fields_ = std::make_shared<const json>(std::move(changed));
}

void ModelRecord::set_made_by(const std::string& command, const std::string& version) {
  note("made_by", command);
  note("version", version);
}

void ModelRecord::set_base(const fs::path& folder) {
  note("base", full_path(folder).string());
}

void ModelRecord::set_training(const TrainingRecord& training) {
  note("stage", training.stage);
  note("seed", training.seed);
  note("steps", training.steps);
  note("settings", training.settings);
  if (!training.tune.empty()) note("tune", training.tune);
  if (!training.teacher.empty()) note("teacher", training.teacher);
}

void ModelRecord::set_region(const LayerSet& layers) {
  note("region", layers.record());
}

void ModelRecord::set_origin(const LayerSet& origin, const std::vector<std::int64_t>& removed_now) {
  note("layers", {{"of", origin.depth()},
                  {"original", origin.numbers()},
                  {"removed", origin.complement().numbers()},
                  {"removed_now", removed_now}});
}

void ModelRecord::set_pads(bool pads) {
  note(kAspect, image_aspect_name(pads));
}

void ModelRecord::set_base_weights(const BaseWeights& base) {
  json entry = {{"layers", base.layers}};
  if (base.decoder) {
    entry["shapes"] = base.decoder->shapes;
    entry["content"] = base.decoder->content;
    entry["dtypes"] = base.decoder->dtypes;
    entry["sample"] = base.decoder->sample;
  }
  note(kBaseWeights, std::move(entry));
}

void ModelRecord::set_adapter(const MergedAdapter& adapter, const std::optional<ModelRecord>& history) {
  json entry = {
      {"folder", adapter.folder}, {"rank", adapter.rank}, {"alpha", adapter.alpha}, {"layers", adapter.layers}};
  if (history) entry["history"] = history->fields();
  note("adapter", std::move(entry));
}

void ModelRecord::set_base_record(const ModelRecord& record) {
  note(kBaseRecord, record.fields());
}

}  // namespace striate

#include "striate/region/history.h"

#include <algorithm>
#include <numeric>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_file.h"
#include "striate/region/layer_set.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFile = "striate.json";

std::string full_path(const fs::path& folder) {
  return fs::absolute(folder).lexically_normal().string();
}

// The newest "layers" of a history; nullptr when no layer was ever removed.
const json* newest_layers(const json& history) {
  for (const json* step = &history; step->is_object();) {
    if (step->contains("layers")) return &step->at("layers");
    if (!step->contains("base_history")) return nullptr;
    step = &step->at("base_history");
  }
  return nullptr;
}

Error wrong_history(const std::string& where, const std::string& what) {
  return corrupt_data(cat(where, ": ", what),
                      "it belongs to another model: remove the file to go on without a history");
}

json adapter_json(const AdapterFile& adapter) {
  json out = {{"folder", full_path(adapter.folder())},
              {"rank", adapter.settings().rank},
              {"alpha", adapter.settings().alpha},
              {"layers", adapter.layers()}};
  const json before = earlier_history(adapter.folder());
  if (!before.is_null()) out["history"] = before;
  return out;
}

}  // namespace

json earlier_history(const fs::path& folder) {
  const fs::path file = folder / kFile;
  std::error_code ignored;
  return fs::is_regular_file(file, ignored) ? read_json_file(file) : json(nullptr);
}

json region_json(const std::string& spec, const std::vector<std::int64_t>& layers, std::int64_t total) {
  return {{"spec", spec}, {"layers", layers}, {"of", total}, {"list", layer_list_text(layers)}};
}

LayerOrigin layer_origin(const json& history, std::int64_t layers, const std::string& where) {
  const json* found = newest_layers(history);
  if (found == nullptr) {
    LayerOrigin origin{layers, std::vector<std::int64_t>(static_cast<std::size_t>(layers))};
    std::iota(origin.original.begin(), origin.original.end(), std::int64_t{0});
    return origin;
  }
  LayerOrigin origin{};
  try {
    origin.depth = found->at("of").get<std::int64_t>();
    origin.original = found->at("original").get<std::vector<std::int64_t>>();
  } catch (const json::exception&) {
    throw wrong_history(where, R"("layers" is not {"of": N, "original": [...]})");
  }
  if (static_cast<std::int64_t>(origin.original.size()) != layers) {
    throw wrong_history(where, cat("a history of ", origin.original.size(), " layers, the model has ", layers));
  }
  std::int64_t before = -1;
  for (const std::int64_t layer : origin.original) {
    if (layer <= before || layer >= origin.depth) {
      throw wrong_history(where, cat("original layer ", layer, " is out of order or beyond ", origin.depth, " layers"));
    }
    before = layer;
  }
  return origin;
}

json model_history(const std::string& made_by, const std::string& version, const Checkpoint& source,
                   const ModelChange& change) {
  json out = {{"made_by", made_by}, {"version", version}, {"base", full_path(source.folder)}};
  const json before = earlier_history(source.folder);
  const LayerOrigin origin = layer_origin(before, source.config.decoder.layers, (source.folder / kFile).string());
  std::vector<std::int64_t> original;
  for (const std::int64_t layer : kept_layers(source, change)) {
    original.push_back(origin.original[static_cast<std::size_t>(layer)]);
  }
  std::vector<std::int64_t> removed_now;
  std::set_difference(origin.original.begin(), origin.original.end(), original.begin(), original.end(),
                      std::back_inserter(removed_now));
  if (static_cast<std::int64_t>(original.size()) < origin.depth) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(origin.depth));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    std::vector<std::int64_t> removed;
    std::set_difference(all.begin(), all.end(), original.begin(), original.end(), std::back_inserter(removed));
    out["layers"] = {{"of", origin.depth}, {"original", original}, {"removed", removed}, {"removed_now", removed_now}};
  }
  if (source.adapter) out["adapter"] = adapter_json(AdapterFile(*source.adapter));
  if (!before.is_null()) out["base_history"] = before;
  return out;
}

}  // namespace striate

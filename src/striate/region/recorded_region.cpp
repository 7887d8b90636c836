#include "striate/region/recorded_region.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/region/history.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Aligning, and healing the projector alone, record a region without layers.
bool tuned_layers(const json& step) {
  if (!step.contains("region") || !step.at("region").is_object()) return false;
  const json& region = step.at("region");
  return !region.contains("layers") || !region.at("layers").is_array() || !region.at("layers").empty();
}

// The newest step of a history, or of the adapter's that was merged in it, that tuned layers. Null when none did.
const json* newest_tuning(const json& history) {
  for (const json* step = &history; step != nullptr && step->is_object();) {
    if (tuned_layers(*step)) return step;
    if (step->contains("adapter") && step->at("adapter").is_object() && step->at("adapter").contains("history")) {
      if (const json* found = newest_tuning(step->at("adapter").at("history"))) return found;
    }
    step = step->contains("base_history") ? &step->at("base_history") : nullptr;
  }
  return nullptr;
}

struct Region {
  std::vector<std::int64_t> layers;
  std::int64_t of = 0;
};

Region read_region(const json& region, const std::string& where) {
  const auto damaged = [&](const std::string& what) {
    return corrupt_data(cat(where, ": ", what), "name the layers instead, e.g. --region 0,4,8");
  };
  Region out;
  try {
    out.layers = region.at("layers").get<std::vector<std::int64_t>>();
    out.of = region.at("of").get<std::int64_t>();
  } catch (const json::exception&) {
    throw damaged(R"("region" is not {"layers": [...], "of": N})");
  }
  for (const std::int64_t layer : out.layers) {
    if (layer < 0 || layer >= out.of) throw damaged(cat("\"region\" has layer ", layer, " of ", out.of));
  }
  return out;
}

}  // namespace

std::optional<std::vector<std::int64_t>> recorded_region(const fs::path& folder, std::int64_t layers) {
  json history = earlier_history(folder);
  std::string where = (folder / "striate.json").string();
  const json* tuning = newest_tuning(history);
  if (tuning == nullptr && fs::is_regular_file(folder / "run.json")) {
    // A run that was stopped before its end leaves this record alone.
    where = (folder / "run.json").string();
    history = read_json_file(folder / "run.json");
    tuning = newest_tuning(history);
  }
  if (tuning == nullptr) return std::nullopt;
  const Region region = read_region(tuning->at("region"), where);
  // By the numbers of the model it all began as, then by those of today.
  const LayerOrigin then = layer_origin(*tuning, region.of, where);
  const LayerOrigin now = layer_origin(history, layers, where);
  if (then.depth != now.depth) {
    throw corrupt_data(cat(where, ": the region is of a model of ", then.depth, " layers, this one had ", now.depth),
                       "it belongs to another model: name the layers instead, e.g. --region 0,4,8");
  }
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < now.original.size(); ++i) {
    const bool inside = std::any_of(region.layers.begin(), region.layers.end(), [&](std::int64_t layer) {
      return then.original[static_cast<std::size_t>(layer)] == now.original[i];
    });
    if (inside) out.push_back(static_cast<std::int64_t>(i));
  }
  if (out.empty()) return std::nullopt;
  return out;
}

}  // namespace striate

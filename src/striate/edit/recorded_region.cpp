#include "striate/edit/recorded_region.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/model_record.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// The newest record of a history, or of the adapter's that was merged in it, of a run that tuned layers.
std::optional<ModelRecord> newest_tuning(const std::optional<ModelRecord>& history) {
  for (std::optional<ModelRecord> step = history; step; step = step->base_record()) {
    if (step->tuned_layers()) return step;
    if (auto found = newest_tuning(step->adapter_record())) return found;
  }
  return std::nullopt;
}

}  // namespace

std::optional<LayerSet> recorded_region(const fs::path& folder, std::int64_t layers) {
  std::optional<ModelRecord> history = ModelRecord::find(folder);
  std::optional<ModelRecord> tuning = newest_tuning(history);
  if (!tuning) {  // a run that was stopped before its end leaves this record alone
    history = ModelRecord::find(folder, "run.json");
    tuning = newest_tuning(history);
  }
  if (!tuning) return std::nullopt;
  const std::string& where = history->where();
  const LayerSet region = tuning->region();
  // By the numbers of the model it all began as, then by those of today.
  const LayerSet then = tuning->origin(region.depth());
  const LayerSet now = history->origin(layers);
  if (then.depth() != now.depth()) {
    throw corrupt_data(
        cat(where, ": the region is for a model of ", then.depth(), " layers, but this model had ", now.depth()),
        "the file belongs to another model: give the layers instead, e.g. `region` 0,4,8");
  }
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < now.size(); ++i) {
    const bool inside = std::any_of(region.begin(), region.end(), [&](std::int64_t layer) {
      return then[static_cast<std::size_t>(layer)] == now[i];
    });
    if (inside) out.push_back(static_cast<std::int64_t>(i));
  }
  if (out.empty()) return std::nullopt;
  return LayerSet(layers, std::move(out));
}

}  // namespace striate

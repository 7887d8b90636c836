#include "striate/edit/history.h"

#include <optional>
#include <vector>

#include "striate/base/paths.h"
#include "striate/model/adapter_file.h"

namespace striate {
namespace {

MergedAdapter merged(const AdapterFile& adapter) {
  return {full_path(adapter.folder()).string(), adapter.settings().rank, adapter.settings().alpha, adapter.layers()};
}

}  // namespace

LayerSet layer_origin(const std::filesystem::path& folder, std::int64_t layers) {
  const std::optional<ModelRecord> record = ModelRecord::find(folder);
  return record ? record->origin(layers) : LayerSet::all(layers);
}

ModelRecord model_history(const std::string& made_by, const std::string& version, const Checkpoint& source,
                          const ModelChange& change) {
  ModelRecord record;
  record.set_made_by(made_by, version);
  record.set_base(source.folder);
  const LayerSet kept = kept_layers(source, change);
  const LayerSet origin = layer_origin(source.folder, kept.depth());
  std::vector<std::int64_t> original, removed_now;
  for (std::size_t i = 0; i < origin.size(); ++i) {
    (kept.contains(static_cast<std::int64_t>(i)) ? original : removed_now).push_back(origin[i]);
  }
  const LayerSet left(origin.depth(), std::move(original));
  if (left.count() < left.depth()) record.set_origin(left, removed_now);
  if (const auto pad = source.config.padding_asked) record.set_pads(*pad);
  if (source.adapter) record.set_adapter(merged(AdapterFile(*source.adapter)), ModelRecord::find(*source.adapter));
  if (const auto before = ModelRecord::find(source.folder)) record.set_base_record(*before);
  return record;
}

}  // namespace striate

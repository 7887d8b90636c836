#include "striate/model/adapter_base.h"

#include <optional>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/fingerprint.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

Error another_base(const fs::path& adapter, const std::string& folder, const BaseWeights& record,
                   const Checkpoint& model) {
  const std::string base = folder.empty() ? "another model" : folder;
  const std::int64_t layers = model.config.decoder.layers;
  const std::string given = model.folder.string();
  std::string how = cat("has layers of the same shape with other weights: ", given);
  if (layers != record.layers) {
    how = cat("had ", counted(record.layers, "layer"), ", ", given, " has ", layers);
  } else if (record.decoder && record.decoder->shapes != decoder_fingerprint(model).shapes) {
    how = cat("has layers of another shape: ", given);
  }
  return invalid_input(cat(adapter.string(), ": this adapter was tuned on ", base, "; ", how),
                       cat("open it with the model it was tuned on: `model` ", folder.empty() ? "BASE" : folder,
                           "; to use it here anyway, remove \"", record.decoder ? "base_weights" : "region",
                           "\" from its striate.json"));
}

}  // namespace

BaseWeights base_weights(const Checkpoint& base) {
  return {base.config.decoder.layers, decoder_fingerprint(base)};
}

BaseWeights base_weights(ModelPaths paths) {
  paths.adapter.reset();
  return base_weights(open_checkpoint(paths));
}

void check_adapter_base(const fs::path& folder, const Checkpoint& model) {
  const std::optional<ModelRecord> record = ModelRecord::find(folder);
  if (!record) return;
  const std::optional<BaseWeights> base = record->base_weights();
  if (!base) return;
  const bool same = base->layers == model.config.decoder.layers &&
                    (!base->decoder || base->decoder->same_weights(decoder_fingerprint(model)));
  if (!same) throw another_base(folder, record->base(), *base, model);
}

}  // namespace striate

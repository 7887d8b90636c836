// Layers of a tuned model as they were before tuning, in a folder of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/edit/export_check.h"
#include "striate/edit/model_folder.h"

namespace striate {

struct RevertRequest {
  ModelPaths model;                           // `model` may be the folder of an adapter, which is then on `base`
  std::optional<std::filesystem::path> base;  // from before tuning, or its language model alone
  std::string layers;                         // which go back, as the grammar of region/layer_grammar.h writes it
  OutputRequest output;
};

struct RevertResult {
  Family family;
  LayerSet layers;                           // that went back
  std::optional<FolderResult> written;       // of a model; absent: an adapter was written
  std::vector<std::int64_t> adapter_layers;  // that an adapter is left on
  std::optional<ExportCheck> check;          // absent where it was not asked for
};

// Whether an adapter is written: one is given, or `model` is the folder of one.
bool reverts_adapter(const ModelPaths& model);

// Writes the model, or the adapter where there is one. Throws InvalidInput without the base that it needs, what
// reversion() and adapter_reversion() throw, and Resource when the result computes something else; nothing is left
// behind then.
RevertResult revert_model(const RevertRequest& request);

}  // namespace striate

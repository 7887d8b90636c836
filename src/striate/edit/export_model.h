// A model for other software, as a Hugging Face folder with adapters merged, or its adapter alone as PEFT saves it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "striate/edit/export_check.h"
#include "striate/edit/model_folder.h"

namespace striate {

struct ExportRequest {
  ModelPaths model;
  OutputRequest output;
};

struct ModelExport {
  Family family;
  std::int64_t layers = 0;
  FolderResult written;
  std::optional<ExportCheck> check;  // absent where it was not asked for
};

// Writes the model. Throws what opening it and write_model_folder() throw, and Resource when the result computes
// something else; nothing is left behind then.
ModelExport export_model(const ExportRequest& request);

struct AdapterExport {
  Family family;
  std::vector<std::int64_t> layers;  // that it is on
  std::int64_t rank = 0;
  std::size_t matrices = 0;
  bool beside = false;  // whether something was trained beside it
  std::optional<ExportCheck> check;
};

// Writes the adapter, and what was trained beside it. Throws InvalidInput for a model without one, and as above.
AdapterExport export_adapter(const ExportRequest& request);

}  // namespace striate

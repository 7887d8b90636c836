// A model as GGUF files, written, opened again and held to the model they were made from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "striate/edit/export_check.h"
#include "striate/gguf/check.h"
#include "striate/gguf/export.h"

namespace striate {

struct GgufExportRequest {
  ModelPaths model;
  std::filesystem::path out;            // the folder to make; the files are named as it is
  GgufType type = GgufType::kFloat16;   // as GgufOptions
  std::optional<GgufType> vision_type;  // likewise
  bool with_vision = true;
  bool verify = true;  // whether tensors and logits are compared with the source's
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  // bytes written
};

struct GgufCheck {
  GgufTensorCheck tensors;
  ExportCheck logits;
};

struct GgufExportResult {
  Family family;
  std::int64_t layers = 0;
  GgufExport files;                // in `out`
  std::optional<GgufCheck> check;  // absent where it was not asked for
};

// Throws what opening the model and write_gguf() throw, and Resource when the files hold something else; nothing is
// left behind then.
GgufExportResult export_gguf(const GgufExportRequest& request);

}  // namespace striate

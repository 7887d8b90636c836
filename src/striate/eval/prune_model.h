// Pruning as a request: which layers of a model go, and the model without them in a folder of its own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/edit/export_check.h"
#include "striate/eval/layer_choice.h"

namespace striate {

// The adapter's folder inside PruneRequest::output.out, with `keep_adapter`.
inline constexpr const char* kKeptAdapterFolder = "adapter";

struct PruneRequest {
  ModelPaths model;
  LayerChoice choice;
  std::optional<std::int64_t> remove;  // how many layers go; absent: those of `layers`
  std::string layers;                  // which go, as region/layer_grammar.h writes it, without asking any scores
  bool keep_adapter = false;           // written to OUT/adapter by the new layer numbers, instead of being merged
  OutputRequest output;
};

// Of all weights that a folder holds, or would hold.
struct ModelSize {
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;
};

struct PruneResult {
  Family family;
  LayerSet region;                   // that stays, of the model before; without layers: any may go
  std::vector<PrunedLayer> removed;  // the lowest score first
  std::string scores;                // where they come from, for people
  ModelSize before, after;
  FolderResult written;
  std::optional<ExportCheck> check;  // absent where it was not asked for

  std::int64_t layers() const { return region.depth(); }  // before
  LayerSet gone() const { return layers_of(removed, layers()); }
};

// Chooses layers, writes the model without them, and compares it with the model pruned in memory. Throws InvalidInput
// for a request that contradicts itself, before anything is scored; what choosing, opening and writing throw; Resource
// when the result computes something else. Nothing is left behind then.
PruneResult prune_model(const PruneRequest& request);

// How the layers were chosen, as striate.json and reports have it.
nlohmann::json prune_choice_json(const PruneRequest& request, const PruneResult& result);

}  // namespace striate

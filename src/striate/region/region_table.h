// Layer sets side by side: what each specification names in one decoder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/layer_set.h"

namespace striate {

struct RegionRequest {
  // The decoder: that of a model's folder, or one of a number of layers; exactly one of them.
  std::optional<std::filesystem::path> model;
  std::optional<std::int64_t> layers_total;
  std::vector<std::string> sets;                // as layer_grammar.h writes them; none: one of each rule
  std::string share = "25%";                    // of the layers, that each rule then takes
  std::optional<std::filesystem::path> scores;  // a score file: the rules then choose by each of its metrics as well
};

struct RegionRow {
  std::string spec;
  LayerSet layers;
  std::string refusal;  // why a rule names nothing at this depth; empty where it does
};

struct RegionTable {
  std::int64_t layers = 0;  // of the decoder
  std::vector<RegionRow> rows;
};

// Throws InvalidInput without a decoder, for a set that was asked for and names nothing, for a share that is none; what
// reading the configuration and the score file throws.
RegionTable region_table(const RegionRequest& request);

}  // namespace striate

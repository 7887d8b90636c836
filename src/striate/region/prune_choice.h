// Which layers a pruned decoder does without: those that change the stream least, outside the region that was taught to
// see (arXiv 2412.12785, section 5), or anywhere, which is the baseline.
//
// A score says how much a layer does: the lowest go first. By metric:
//   angular   Gromov et al., arXiv 2403.17887: the angle between a layer's input and its output at the last token, over
//             pi; of a block of n layers, between the input of its first and the output of its last
//   others    any metric of the score file with one value per layer: bi, bi_text, bi_image, bi_multimodal, ...
//
// Of equal scores the lower layer (of blocks, the lower block) goes first. A layer or block whose value is null in the
// file (NaN: no sample gave one) is never chosen, as nothing is known of it; where too few others are left, that is an
// error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/region/score_file.h"

namespace striate {

struct PruneRequest {
  std::int64_t layers = 0;                       // of the decoder
  std::vector<std::int64_t> protected_layers{};  // the region, never removed; empty: any layer may go
  std::int64_t remove = 0;                       // how many; 0 removes none
  std::string metric = "angular";
  // The block of `remove` layers with the lowest angular distance, wholly outside the region, instead of single layers;
  // for the metric `angular` alone.
  bool contiguous = false;
};

// A layer that goes, and how it scored: in block form every layer has its block's score. NaN where none was asked.
struct PrunedLayer {
  std::int64_t layer = 0;
  double score = 0;
  bool operator==(const PrunedLayer&) const = default;
};

// What goes, the lowest score first (a block from its first layer up).
// Throws InvalidInput: scores of another depth, a metric or a block length the file lacks, more layers than there are
// outside the region, no block of that length outside it (the hint says the longest there is), no layer left, a
// protected layer outside the decoder, `contiguous` with another metric than angular.
std::vector<PrunedLayer> choose_layers_to_prune(const PruneRequest& request, const ScoreFile& scores);

// Layers that the user lists, ascending, without scores. `request.remove`, `metric` and `contiguous` are not read.
// Throws InvalidInput: a layer outside the decoder or in the region, no layer left.
std::vector<PrunedLayer> listed_layers_to_prune(const PruneRequest& request, const std::vector<std::int64_t>& layers);

// The layers alone, ascending.
std::vector<std::int64_t> ascending_layers(const std::vector<PrunedLayer>& pruned);

// The layers of a decoder of `layers` that stay when `removed` go: entry j is the original number of new layer j.
std::vector<std::int64_t> kept_layers(std::int64_t layers, const std::vector<std::int64_t>& removed);

// The length of the longest block of neighbouring layers that holds none of `protected_layers`.
std::int64_t longest_free_block(std::int64_t layers, const std::vector<std::int64_t>& protected_layers);

}  // namespace striate

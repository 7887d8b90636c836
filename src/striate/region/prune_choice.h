// Which layers pruning removes: those that change the hidden state least, outside the region that was taught to
// see (arXiv 2412.12785, section 5), or anywhere, which is the baseline.
//
// A score says how much a layer changes: the lowest are removed first. By metric:
//   angular   Gromov et al., arXiv 2403.17887: the angle between a layer's input and its output at the last token, over
//             pi; of a block of n layers, between the input of its first and the output of its last
//   others    any metric of the score file with one value per layer: bi, bi_text, bi_image, bi_multimodal, ...
//
// Of equal scores the lower layer (of blocks, the lower block) goes first. A layer or block whose value is null in the
// file (NaN: no sample gave one) is never chosen, as nothing is known of it; where too few others are left, that is an
// error.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "striate/model/layer_set.h"
#include "striate/region/score_file.h"

namespace striate {

// What decides which layers go, with a score file.
struct PruneCriteria {
  LayerSet protected_layers{};  // of the decoder: the region, never removed; without layers: any may go
  std::int64_t remove = 0;      // how many; 0 removes none
  std::string metric = "angular";
  // The block of `remove` layers with the lowest angular distance, wholly outside the region, instead of single layers;
  // only for the metric `angular`.
  bool contiguous = false;
  // No two neighbours go: a layer beside one that goes stays, whatever its score.
  bool spaced = false;
  std::optional<DecoderShape> decoder{};  // what scores must be of, where they tell
};

// A removed layer and its score: in block form every layer has its block's score. NaN where none was asked.
struct PrunedLayer {
  std::int64_t layer = 0;
  double score = 0;
  bool operator==(const PrunedLayer&) const = default;
};

// The layers to remove, the lowest score first (a block from its first layer up).
// Throws InvalidInput: scores of another depth or shape of decoder, a metric or a block length the file lacks, more
// layers than there are outside the region, no block of that length outside it (the hint says the longest there is), no
// layer left, `contiguous` with another metric than angular, `spaced` with `contiguous` or for more layers than can go
// without two neighbours.
std::vector<PrunedLayer> choose_layers_to_prune(const PruneCriteria& criteria, const ScoreFile& scores);

// How many layers that can remove at most; `criteria.remove` is not read.
std::int64_t most_to_prune(const PruneCriteria& criteria, const ScoreFile& scores);

// One layer after another, scored again after each removal: `score` receives the layers that are removed, and scores
// what is left by its new numbers. The layers returned have their original numbers, in the order
// they went. Throws as above, and InvalidInput for `contiguous` and `spaced`.
std::vector<PrunedLayer> choose_layers_iteratively(const PruneCriteria& criteria,
                                                   const std::function<ScoreFile(const LayerSet& gone)>& score);

// Layers that the user lists, ascending, without scores. `criteria.remove`, `metric` and `contiguous` are not read.
// Throws InvalidInput: a layer in the region, no layer left.
std::vector<PrunedLayer> listed_layers_to_prune(const PruneCriteria& criteria, const LayerSet& layers);

// The layers alone, of a decoder of `depth` layers. What stays is their complement: its i-th layer is the original
// number of new layer i.
LayerSet layers_of(const std::vector<PrunedLayer>& pruned, std::int64_t depth);

// The length of the longest block of neighbouring layers that holds none of `protected_layers`.
std::int64_t longest_free_block(const LayerSet& protected_layers);

}  // namespace striate

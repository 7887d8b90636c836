// The grammar of layer sets: the one way to name some of a decoder's layers, everywhere in Striate. Layers are counted
// from 0.
//
//   all                        every layer
//   uniform:k                  evenly spread: the depth L in k bins, the first layer of each, floor(i*L/k)
//   uniform:k@o                the same grid moved up by o, which must stay inside every bin: o < floor(L/k)
//   paper                      the paper's list: 0,4,8,12,18,22,26,30 of 32; uniform:9 of 40; other depths are refused
//   authors-script             the list in the authors' script as their code reads it: 1,5,9,13,19,23,27,31 of 32
//   bottom:k  top:k            the first k, the last k
//   mid-bottom:k  mid-top:k    k layers from floor(L/4) on, from floor(L/2) on
//   middle:k                   k layers in the middle, from floor((L-k)/2) on
//   bottom-top:k               the first ceil(k/2) and the last floor(k/2)
//   score:FILE:METRIC:k        the k highest of a score file; of equal ones the lower layer
//   stratified:FILE:METRIC:k   the highest in each of the k bins of uniform:k
//   random:k:SEED              k layers drawn without replacement
//   0,4,8-11                   a list
//
// k is a count or a percentage of L (25%, 12.5%), rounded to the nearest layer, at least 1.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "striate/model/layer_set.h"

namespace striate {

struct DecoderConfig;

// The layers that `spec` names in a decoder of `layers` layers, never empty; its text is `spec`.
// Throws InvalidInput for a spec that is malformed, names nothing or reaches outside the decoder, for `paper` and
// `authors-script` at depths that have no published list, and for a score file of another depth or without the metric;
// what read_score_file() throws for the file itself.
LayerSet parse_layer_set(std::string_view spec, std::int64_t layers);

// The same for the decoder of a model: a score file that tells the shape of another decoder is refused as well.
LayerSet parse_layer_set(std::string_view spec, const DecoderConfig& decoder);

// The bins of uniform:k: where each begins, and L at the end. [k + 1]
std::vector<std::int64_t> uniform_bins(std::int64_t layers, std::int64_t k);

}  // namespace striate

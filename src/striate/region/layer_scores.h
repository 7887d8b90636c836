// Scores of layers from their hidden states: docs/scores.md has the formulas.
#pragma once

#include <cstdint>
#include <memory>

#include "striate/model/lvlm.h"
#include "striate/model/packed_batch.h"
#include "striate/region/sample_moments.h"
#include "striate/region/score_file.h"

namespace striate {

// Which scores are measured; the others cost nothing.
struct LayerScoreOptions {
  bool block_influence = true;    // bi, bi_text, bi_image, bi_multimodal (Men et al., arXiv 2403.03853)
  bool angular = true;            // for every block length (Gromov et al., arXiv 2403.17887)
  bool image_attention = true;    // per layer and head: all scores of the image's share of attention
  bool after_final_norm = false;  // the last state is taken after the final norm, as the authors' script sees it
};

// Watches forward passes of packed streams and keeps sums over samples: its size depends on the decoder's shape alone.
// A sample's value is the same whatever it is packed with.
//
// Tokens whose state has norm zero or is not finite (or too large to square in fp32) have no direction: they are left
// out of their sample's means, and counted by layer. A sample without a value (no picture, no such token) does not
// count in that score.
class LayerScoreCollector {
 public:
  LayerScoreCollector(const DecoderConfig& decoder, const LayerScoreOptions& options);
  ~LayerScoreCollector();
  LayerScoreCollector(LayerScoreCollector&&) noexcept;

  // Runs one forward pass over the stream, image features in it, and adds each of its samples. `model` must have the
  // depth the collector was made for.
  void add(const Lvlm& model, const PackedBatch& stream);
  // Joins the ranks' sums; every rank calls it once, at the end.
  void combine(const SumOverRanks& sum);

  std::int64_t samples() const;
  // Sets the scores, the number of samples and the counts of tokens; leaves the rest of the file alone.
  void report(ScoreFile& file) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace striate

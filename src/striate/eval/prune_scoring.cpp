#include "striate/eval/prune_scoring.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/eval/layer_scoring.h"

namespace striate {
namespace {

LayerScoreOptions options_for(const std::string& metric) {
  LayerScoreOptions options;
  options.angular = metric == "angular";
  options.block_influence = metric == "bi" || metric == "bi_text" || metric == "bi_image" || metric == "bi_multimodal";
  options.image_attention = metric == "image_attention";
  if (options.angular || options.block_influence || options.image_attention) return options;
  throw invalid_input(cat("`metric` ", metric, ": data alone cannot measure this metric"),
                      "known: angular, bi, bi_text, bi_image, bi_multimodal, image_attention; others come from a file: "
                      "`scores` FILE");
}

}  // namespace

PruneScoring::PruneScoring(const Lvlm& model, const Tokenizer& tokenizer, const EvaluationOptions& data,
                           const std::string& metric, std::int64_t tokens_per_stream)
    : model_(&model), metric_(metric), tokens_per_stream_(tokens_per_stream) {
  options_for(metric);  // refused before anything is read
  set_ = std::make_unique<EvaluationSet>(model, tokenizer, data);
  alone_ = join_ranks({}, model.placement().device);
}

ScoreFile PruneScoring::operator()(const LayerSet& gone) {
  const Lvlm left = model_->without_layers(gone);
  ScoreFile scores;
  scores.path = "the scores";
  scores.layers = left.config().decoder.layers;
  scores.decoder = decoder_shape(left.config().decoder);
  score_samples(left, *set_, *alone_, options_for(metric_), tokens_per_stream_).report(scores);
  return scores;
}

}  // namespace striate

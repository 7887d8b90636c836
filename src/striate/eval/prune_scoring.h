// Scores for pruning, measured on data instead of read from a file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "striate/eval/evaluation_set.h"
#include "striate/ranks/collective.h"
#include "striate/region/score_file.h"
#include "striate/text/tokenizer.h"

namespace striate {

// What `metric` needs of a pass over data, and no more. Throws InvalidInput for metrics that no data gives.
class PruneScoring {
 public:
  // `model` is the whole model, whose vision tower looks at the pictures; it must outlive this, as must the tokenizer.
  // Throws as EvaluationSet does.
  PruneScoring(const Lvlm& model, const Tokenizer& tokenizer, const EvaluationOptions& data, const std::string& metric,
               std::int64_t tokens_per_stream);
  // Scores the whole model without the layers `gone`, by the numbers of what is left.
  ScoreFile operator()(const LayerSet& gone);
  std::int64_t samples() const { return set_->size(); }

 private:
  const Lvlm* model_;
  std::string metric_;
  std::int64_t tokens_per_stream_;
  std::unique_ptr<EvaluationSet> set_;
  std::unique_ptr<Collective> alone_;
};

}  // namespace striate

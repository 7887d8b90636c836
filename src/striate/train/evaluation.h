// What a model in training makes of held-out samples.
#pragma once

#include <cstdint>
#include <memory>

#include "striate/data/evaluation_set.h"
#include "striate/train/collective.h"
#include "striate/train/metrics.h"

namespace striate {

struct AnswerOptions {
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::int64_t max_tokens = 32;           // of an answer
  std::int64_t context = 2048;            // of prompt and answer together
  std::int64_t tokens_per_stream = 8192;  // samples are packed to streams of about so many, for the loss
};

// Mean loss over the targets of every sample, and how many answers are exactly the reference's: greedy, compared as
// text without white space around it. The ranks share the samples. Model, tokenizer and set are those of this rank.
EvaluationMetrics evaluate_held_out(const Lvlm& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                                    EvaluationSet& set, Collective& ranks, const AnswerOptions& options);

}  // namespace striate

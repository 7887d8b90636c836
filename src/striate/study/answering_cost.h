// What it costs to answer with a model: speed of prompts and of answers, and the bytes of its weights.
#pragma once

#include "striate/model/load.h"
#include "striate/study/results.h"

namespace striate::study {

// `model`, without the layers `gone` of `source`: one prompt of up to 256 tokens and an answer of up to 32, greedily;
// the fastest of five. Times of a machine that others use as well are those of its quiet moments.
AnsweringCost answering_cost(const Lvlm& model, const Checkpoint& source, const LayerSet& gone);

}  // namespace striate::study

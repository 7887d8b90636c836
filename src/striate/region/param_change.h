// How much tuning changed each layer's weights.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "striate/model/load.h"
#include "striate/model/lvlm.h"
#include "striate/region/score_file.h"

namespace striate {

// Per layer, over its linear weights W (before) and W' (after, adapters merged in fp32):
struct ParamChange {
  std::vector<double> joint;                           // sqrt(sum ||W' - W||^2 / sum ||W||^2): the layer as one vector
  std::vector<double> mean;                            // of the linears' ||W' - W|| / ||W||
  std::vector<double> sum;                             // of the same: what the authors' script ranks layers by
  std::map<std::string, std::vector<double>> linears;  // the ratios themselves, by the linear's name
};

// Compares a model with what it was tuned from, a few megabytes of weights at a time. NaN where W is zero.
// `stored` is what the tuned model was loaded from: its weights are compared as they were published, where a model on a
// GPU computes with copies in its own type. Without it, the model's own.
// Throws InvalidInput, naming the tensor, for a base of another depth or shape or without one of the linears' weights.
ParamChange param_change(const Lvlm& tuned, const Checkpoint& base, const WeightSource* stored = nullptr);

// As the metrics param_change, param_change_mean and param_change_sum, and the linears' ratios.
void report(const ParamChange& change, ScoreFile& file);

}  // namespace striate

// The log-probability of a whole text, in windows of the model's length.
#pragma once

#include <cstdint>
#include <vector>

#include "striate/model/lvlm.h"

namespace striate {

// The sum over all tokens of log p(token | those before it in its window), in nats. Windows as
// lm-evaluation-harness makes them (loglikelihood_rolling with context_len 1): each token is predicted once; the first
// window begins with `prefix`, the last one reaches back so that it is as long as the others. `window` is how many
// tokens the model reads at once. Throws InvalidInput for ids outside the vocabulary.
double rolling_log_probability(const Lvlm& model, const std::vector<std::int64_t>& tokens, std::int64_t prefix,
                               std::int64_t window);

}  // namespace striate

// How the next token of an answer is chosen: flags of every command that samples.
#pragma once

#include <CLI/CLI.hpp>

#include "striate/infer/sampler.h"

namespace striate::app {

// --temperature, --top-p, --top-k, --seed.
void add_sampling(CLI::App& command, SamplingOptions& sampling);
// Throws InvalidInput for a flag that shapes what is drawn where nothing is, because the temperature is 0.
void refuse_unread_sampling(const CLI::App& command, const SamplingOptions& sampling);

}  // namespace striate::app

#include "apps/striate/sampling_flags.h"

#include "apps/striate/flag_ranges.h"

namespace striate::app {

void add_sampling(CLI::App& command, SamplingOptions& sampling) {
  command
      .add_option("--temperature", sampling.temperature, "Sampling temperature; 0 always takes the most likely token")
      ->check(number(0, 1e3))
      ->capture_default_str();
  command
      .add_option("--top-p", sampling.top_p, "Sample from the most likely tokens that together have this probability")
      ->check(number(1e-9, 1))
      ->capture_default_str();
  command.add_option("--top-k", sampling.top_k, "Sample from the k most likely tokens; 0: from all")
      ->check(whole_number(0, kMostTokens))
      ->capture_default_str();
  command.add_option("--seed", sampling.seed, "Sampling seed")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str();
}

}  // namespace striate::app

#include "apps/striate/sampling_flags.h"

#include "apps/striate/flag_ranges.h"
#include "apps/striate/unread_flags.h"

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

void refuse_unread_sampling(const CLI::App& command, const SamplingOptions& sampling) {
  if (sampling.temperature > 0) return;
  // A seed misleads nobody: the same answers come with any.
  refuse_unread(command, {"--top-p", "--top-k"}, "needs a --temperature above 0",
                "at temperature 0 the most likely token is always taken: give --temperature X, or leave it out");
}

}  // namespace striate::app

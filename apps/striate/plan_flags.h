// The flags of `striate plan`: those of `striate train`, and its own.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/striate/train_flags.h"
#include "striate/train/run_plan.h"

namespace striate::app {

struct PlanFlags {
  TrainFlags train;
  std::string memory;
  std::vector<std::string> hardware;
  std::optional<std::int64_t> sample_tokens, sample_targets;
  bool text_only = false;
  int ranks = 1;

  void add_to(CLI::App& command);
  // What is asked for. Throws InvalidInput for words that mean nothing and flags that contradict each other.
  RunPlanRequest request(std::vector<AskedMachine> machines) const;
};

}  // namespace striate::app

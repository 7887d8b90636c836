// The flags of `striate prune`, and the requests that they make: to prune once, or to sweep.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "apps/striate/data_flags.h"
#include "apps/striate/export_flags.h"
#include "apps/striate/model_flags.h"
#include "striate/eval/prune_model.h"
#include "striate/eval/prune_sweep.h"

namespace striate::app {

struct PruneFlags {
  ModelFlags model;
  OutputFlags output;
  ComputeFlags compute;  // of scoring and sweeping; its number of threads is that of `output`
  std::string region = "from-run", metric = "angular", layers, scores;
  std::string data, images, sweep, report, baseline, baseline_adapter, baseline_scores;
  HeldOutFlags held_out;
  std::optional<std::int64_t> remove;
  std::int64_t samples = 200, max_tokens = 2048, tokens_per_stream = 8192;
  std::uint64_t seed = 234;
  bool contiguous = false, spaced = false, iterative = false, keep_adapter = false, json = false, overwrite = false;

  void add_to(CLI::App& command);
  // What they ask for, without and with --sweep. Throw InvalidInput for a path that does not exist, a value that is not
  // one, and flags that would not be read.
  PruneRequest prune_request(const CLI::App& command) const;
  SweepRequest sweep_request(const CLI::App& command) const;

 private:
  LayerChoice choice() const;
};

// striate prune --sweep.
void run_prune_sweep(const PruneFlags& flags, const CLI::App& command);

}  // namespace striate::app

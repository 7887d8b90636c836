// The flags of `striate train`, and the request that they make.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/striate/data_flags.h"
#include "apps/striate/model_flags.h"
#include "striate/ranks/ranks.h"
#include "striate/train/training_request.h"

namespace striate::app {

struct TrainFlags {
  ModelFlags model;
  ComputeFlags compute;
  std::string stage = "tune", tune = "lora", layers, out, config;
  std::string data, images;
  TextFlags text;
  HeldOutFlags held_out;
  std::optional<std::int64_t> steps, batch, tokens_per_step, warmup_steps;
  std::optional<double> epochs, lr, projector_lr, vision_tower_lr;
  TrainingRequest request;  // everything whose default is the library's own
  std::vector<std::string> lora_targets;
  std::string frozen_precision = "bf16";
  std::string schedule = "cosine", on_bad_sample = "stop", recompute = "auto", deterministic = "on", memory_budget,
              feature_cache = "1GB", feature_cache_folder, save_dtype, max_shard_size = "5GB";
  bool no_shuffle = false;
  bool json = false;

  // Adds every flag to the command.
  void add_to(CLI::App& command);
  // Fills in from --config what the command line does not say; call once the command line is parsed. Throws
  // InvalidInput, naming file and line.
  void read_config(CLI::App& command) const;
  // Stage, kind of tuning, adapters. Throws InvalidInput for unknown words.
  TuneMethod tune_method() const;
  // Samples of a step over all ranks, as asked for or the recipe's; 0 where --tokens-per-step says how long a step is.
  std::int64_t samples_per_step() const;
  // What is asked of the data. Throws InvalidInput for files that do not exist and unknown words.
  TrainingData training_data() const;
  // Of a whole model that is written; absent: the base's. Throws InvalidInput for unknown words.
  std::optional<at::ScalarType> saved_type() const;
  // What is asked for. Throws InvalidInput for values that make no sense.
  TrainingRequest training_request(const CLI::App& command, const Ranks& ranks) const;
};

}  // namespace striate::app

// The flags of `striate train`, and what they ask for.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/striate/model_flags.h"
#include "striate/train/ranks.h"
#include "striate/train/training_run.h"

namespace striate::app {

struct TrainFlags {
  ModelFlags model;
  ComputeFlags compute;
  std::string stage = "tune", tune = "lora", layers, out, config;
  std::string data, images, eval_data, eval_images, tokenizer, conversation;
  std::optional<std::int64_t> steps, batch, tokens_per_step, warmup_steps;
  std::optional<double> epochs, lr, projector_lr, vision_tower_lr;
  TrainingRequest request;  // everything whose default is the library's own
  std::vector<std::string> lora_targets;
  std::string schedule = "cosine", on_bad_sample = "stop", recompute = "auto", memory_budget, feature_cache = "1GB",
              feature_cache_folder, save_dtype, max_shard_size = "5GB";
  bool no_shuffle = false;
  bool json = false;

  // Adds every flag to the command.
  void add_to(CLI::App& command);
  // Fills in from --config what the command line does not say; call once the command line is parsed. Throws
  // InvalidInput, naming file and line.
  void read_config(CLI::App& command) const;
  // What is asked for. Throws InvalidInput for values that make no sense.
  TrainingRequest training_request(const CLI::App& command, const Ranks& ranks) const;
};

}  // namespace striate::app

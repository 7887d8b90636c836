// What a training run is asked to do.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/data/step_source.h"
#include "striate/model/load.h"
#include "striate/train/adapter_out.h"
#include "striate/train/optimizer.h"
#include "striate/train/schedule.h"
#include "striate/train/train_pass.h"
#include "striate/train/tunable.h"

namespace striate {

struct HeldOut {
  std::filesystem::path data;    // samples, or the folder of a benchmark's files; empty: none
  std::filesystem::path images;  // empty: as for training; of a benchmark: looked for in `data`
  std::string benchmark;         // whose questions are asked; empty: `data` has samples
  std::string protocol;          // empty: the benchmark's first
  std::int64_t every = 0;        // steps; 0: at the end alone
  bool first = false;            // before the first step as well
  std::int64_t samples = 0;      // or questions, the first so many; 0: all
  std::int64_t max_tokens = 32;  // of an answer to a sample; a benchmark's protocol has its own
};

// A teacher beside the run: docs/healing.md.
struct TeacherRequest {
  ModelPaths model;          // adapters allowed
  double hidden_weight = 0;  // as DistillationOptions
  double kl_weight = 0;
  double temperature = 1;
  std::string hidden_layers;  // a layer set of the student's layers; empty: all
};

struct TrainingRequest {
  std::string command = "train";  // that was asked for, for run.json and striate.json
  ModelPaths model;
  Placement placement;
  std::optional<std::filesystem::path> tokenizer;  // default: the model's folder
  std::optional<TemplateKind> conversation;        // default: the model's; plain for `stage` align
  TuneMethod tune;
  std::string layers;  // the region, as the grammar of region/layer_grammar.h writes it; empty: none
  TrainingData data;
  HeldOut held_out;
  std::optional<TeacherRequest> teacher;
  // Whether `layers` may be empty in a full tuning: the projector alone is trained, and a whole model written.
  bool projector_alone = false;
  std::optional<std::int64_t> steps;  // else `epochs`
  double epochs = 1;
  GroupRates rates;
  AdamWOptions adamw;
  ScheduleKind schedule = ScheduleKind::kCosine;
  double warmup_ratio = 0.03;
  std::optional<std::int64_t> warmup_steps;  // instead of the ratio
  double max_gradient_norm = 1.0;
  std::int64_t save_every = 500;
  std::int64_t keep = 2;  // checkpoints; 0: all
  std::int64_t skip_bad_steps = 0;
  // Each of several ranks keeps the optimiser's state of a part of the parameters; not a setting of the run, which goes
  // on with it or without.
  bool shard_optimizer = false;
  bool deterministic = true;  // as TrainPass: a resumed run has the bits of one that was not interrupted
  std::optional<ActivationCheckpointing>
      checkpointing;                           // absent: the one with the fewest operations that fits into memory
  std::optional<std::uint64_t> memory_budget;  // bytes; absent: what is free
  std::filesystem::path out;
  bool resume = false;
  bool tensorboard = false;
  ModelOutOptions model_out;
  nlohmann::json arguments = nlohmann::json::object();  // as given, for run.json
};

}  // namespace striate

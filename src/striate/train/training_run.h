// A whole run: from what a user asks for to the folder that holds the result.
//
//   OUT/run.json            arguments, version, hardware, region; the result once it is done
//   OUT/metrics.jsonl       one line per step
//   OUT/checkpoints/        step-000123/ ...
//   OUT/tensorboard/        event files, on request
//   OUT/bad_samples.jsonl   samples that were skipped
//   OUT/                    the adapter, the projector or the whole model, and striate.json
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/data/step_source.h"
#include "striate/model/load.h"
#include "striate/train/adapter_out.h"
#include "striate/train/ranks.h"
#include "striate/train/trainer.h"

namespace striate {

// What is kept of a layer's forward pass for its backward pass.
enum class Recompute { kAuto, kKeep, kMlp, kLayer };

struct HeldOut {
  std::filesystem::path data;    // empty: none
  std::filesystem::path images;  // empty: as for training
  std::int64_t every = 0;        // steps; 0: at the end alone
  bool first = false;            // before the first step as well
  std::int64_t samples = 0;      // the first so many; 0: all
  std::int64_t max_tokens = 32;  // of an answer
};

// A teacher beside the run: docs/healing.md.
struct TeacherRequest {
  ModelPaths model;          // adapters allowed
  double hidden_weight = 0;  // as DistillationOptions
  double kl_weight = 0;
  double temperature = 1;
  std::string hidden_layers;           // a layer set of the student's layers; empty: all
  std::vector<std::int64_t> original;  // the teacher's layer for each of the student's
};

struct TrainingRequest {
  std::string command = "train";  // that was asked for, for run.json and striate.json
  ModelPaths model;
  Placement placement;
  std::optional<std::filesystem::path> tokenizer;  // default: the model's folder
  std::optional<TemplateKind> conversation;        // default: the model's; plain for --stage align
  TuneOptions tune;                                // `layers` is filled in from `layers`
  std::string layers;                              // the region, as the grammar of layer_set.h writes it
  StepSourceOptions data;                          // ranks, template and preprocessing are filled in
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
  std::int64_t keep = 2;
  std::int64_t skip_bad_steps = 0;
  Recompute recompute = Recompute::kAuto;
  std::optional<std::uint64_t> memory_budget;  // bytes; absent: what is free
  std::filesystem::path out;
  bool resume = false;
  bool tensorboard = false;
  ModelOutOptions model_out;
  nlohmann::json arguments = nlohmann::json::object();  // as given, for run.json
  std::string version;
};

// What is known once everything is open and before the first step.
struct TrainingPlan {
  std::string model;
  std::vector<std::int64_t> layers;  // the region
  std::int64_t total_layers = 0;
  std::int64_t parameters = 0;         // that are trained
  std::int64_t samples = 0;            // in the data
  std::int64_t steps = 0;              // of the whole run
  std::int64_t first_step = 0;         // taken already by the run that is resumed
  std::filesystem::path resumed_from;  // empty for a new run
  ActivationPolicy policy = ActivationPolicy::kKeep;
  std::int64_t teacher_bytes = 0;  // what a teacher takes: weights, and states of the largest stream
  int ranks = 1;
};

// For a person to see meanwhile; called on rank 0 alone.
struct TrainingObserver {
  std::function<void(const TrainingPlan&)> on_begin;
  std::function<void(const StepMetrics&)> on_step;
  std::function<void(const EvaluationMetrics&)> on_evaluation;
  std::function<void(const std::filesystem::path&)> on_save;
};

struct TrainingResult {
  TrainingPlan plan;
  TrainerOutcome outcome;
  std::filesystem::path checkpoint;  // the last one
};

// Runs or resumes. On SIGINT or SIGTERM the step is finished and saved, and the outcome names the signal. Throws
// InvalidInput for requests that make no sense or differ from the run that is resumed, ResourceError for losses that
// are not finite, a rank that is gone or a full disk, and what loading and data throw.
TrainingResult run_training(const TrainingRequest& request, const Ranks& ranks, const TrainingObserver& observer);

}  // namespace striate

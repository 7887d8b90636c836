// A run before any weight is read: model, tokenizer, data and plan, all of them checked.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/notes.h"
#include "striate/data/planned_steps.h"
#include "striate/eval/evaluation_set.h"
#include "striate/eval/held_out.h"
#include "striate/eval/held_out_benchmark.h"
#include "striate/model/load.h"
#include "striate/ranks/collective.h"
#include "striate/text/tokenizer.h"
#include "striate/train/checkpoint.h"
#include "striate/train/distillation.h"
#include "striate/train/schedule.h"
#include "striate/train/training_request.h"

namespace striate {

// What is known of a run before its first step.
struct TrainingPlan {
  std::string model;                   // its family
  LayerSet layers;                     // the region
  std::int64_t parameters = 0;         // that are trained
  std::int64_t samples = 0;            // in the data
  std::int64_t steps = 0;              // of the whole run
  std::int64_t first_step = 0;         // taken already by the run that is resumed
  std::filesystem::path resumed_from;  // empty for a new run
  ActivationCheckpointing checkpointing = ActivationCheckpointing::kNone;
  std::int64_t teacher_bytes = 0;  // what a teacher takes: weights, and states of the largest stream
  int ranks = 1;
  std::int64_t device_cache_bytes = 0;  // of a GPU's memory, for pictures' features
};

struct PreparedTeacher {
  Checkpoint checkpoint;
  DistillationOptions options;
};

// A benchmark that is asked during the run.
struct PreparedBenchmark {
  OpenedBenchmark opened;
  BenchmarkAsking asking;
  std::shared_ptr<RankExchange> exchange;  // nullptr: this process is alone
};

// Everything about a run except its weights.
struct PreparedRun {
  Checkpoint checkpoint;
  std::shared_ptr<const Tokenizer> tokenizer;
  TuneOptions tune;  // the request's, with the region
  std::optional<PreparedTeacher> teacher;
  std::optional<FoundCheckpoint> found;  // where a resumed run goes on
  std::unique_ptr<PlannedSteps> steps;
  std::optional<CheckedSamples> held_out;
  std::optional<PreparedBenchmark> benchmark;  // instead of held_out
  AnswerOptions answers;
  Schedule schedule;
  nlohmann::json settings;  // settings_of()
  TrainingPlan plan;
};

// Opens and checks what `request` names; the run's folder is there. The ranks share the checking of samples, and tell
// each other what they found. Throws InvalidInput for whatever makes the run impossible: layers or targets that the
// model lacks, memory that does not suffice, bad samples, settings that differ from those of the run that is resumed or
// of another rank; and what opening model, tokenizer and data throws. Rank 0's notes receive warnings of settings that
// are rarely intended.
PreparedRun prepare_run(const TrainingRequest& request, Collective& ranks, const Notes& notes);

}  // namespace striate

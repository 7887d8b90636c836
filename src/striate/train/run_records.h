// The records of a run: run.json, metrics.jsonl and TensorBoard's events.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "striate/model/model_record.h"
#include "striate/train/adapter_out.h"
#include "striate/train/metrics.h"
#include "striate/train/prepared_run.h"
#include "striate/train/tensorboard.h"
#include "striate/train/trainer.h"
#include "striate/train/training_request.h"
#include "striate/train/training_session.h"

namespace striate {

// Rank 0's. Each line is handed to the system at once, and run.json appears whole.
class RunRecords {
 public:
  // Opens the files in the run's folder, cuts what a resumed run had said of later steps, and writes run.json without a
  // result. Throws ResourceError.
  RunRecords(const TrainingRequest& request, const TrainingSession& session, const TrainingPlan& plan);

  void add(const StepMetrics& metrics);
  void add(const EvaluationMetrics& metrics);
  // Puts all lines on the disk; a checkpoint that is written next must not be ahead of them.
  void sync() { metrics_.sync(); }
  // Writes the result into run.json.
  void finish(const TrainerOutcome& outcome);

 private:
  void write();

  std::filesystem::path folder_;
  nlohmann::json record_;
  MetricsFile metrics_;
  std::optional<EventFile> events_;
};

// How the run in `folder` ended, where its record says that it is done with the step of `state`, and its result is
// there; nullopt otherwise.
std::optional<TrainerOutcome> recorded_outcome(const std::filesystem::path& folder, OutcomeKind kind,
                                               const RunState& state);

// The record of a run's result: how it was made, from what, and the history of its source.
ModelRecord run_history(const TrainingRequest& request, const TrainingSession& session, const TrainingPlan& plan,
                        const RunState& state);

}  // namespace striate

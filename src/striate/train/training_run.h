// A whole run: from what a user asks for to the folder that holds the result.
//
//   OUT/run.json            arguments, version, hardware, region; the result once it is done
//   OUT/metrics.jsonl       one line per step
//   OUT/report.html         the page of all of these
//   OUT/eval/               what the model said to the held-out questions: step-000200.jsonl ...
//   OUT/checkpoints/        step-000123/ ...
//   OUT/tensorboard/        event files, on request
//   OUT/bad_samples.jsonl   samples that were skipped
//   OUT/                    the adapter, the projector or the whole model, and striate.json
//
// It goes through four phases, each of which is given what the one before made:
//
//   prepare_run()    headers, texts, samples, numbers: whatever may refuse the run does so here (prepared_run.h)
//   open_session()   the weights, and what is trained of them (training_session.h)
//   Trainer::run()   the steps; RunRecords writes what they were like (run_records.h)
//   write_outcome()  the adapter, the projector or the model
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "striate/base/notes.h"
#include "striate/base/stop_flag.h"
#include "striate/ranks/ranks.h"
#include "striate/train/prepared_run.h"
#include "striate/train/trainer.h"
#include "striate/train/training_request.h"

namespace striate {

// What happens meanwhile. Every rank calls on_begin and on_trained; the others but the notes are rank 0's alone. Of a
// run that is resumed and finished already the notes say so, and nothing else is called.
struct TrainingObserver {
  Notes notes;
  // The weights are there and the first step comes next. From here to on_trained the stop flag is looked at.
  std::function<void(const TrainingPlan&)> on_begin;
  std::function<void(const StepMetrics&)> on_step;
  // During an evaluation: held-out samples done, and how many they are on this rank; at first 0.
  std::function<void(std::int64_t done, std::int64_t total)> on_evaluating;
  std::function<void(const EvaluationMetrics&)> on_evaluation;
  std::function<void(const std::filesystem::path&)> on_save;
  // No step follows; what was trained is written next.
  std::function<void(const TrainerOutcome&)> on_trained;
};

struct TrainingResult {
  TrainingPlan plan;
  TrainerOutcome outcome;
  std::filesystem::path checkpoint;  // the last one
};

// Runs or resumes. A finished run is left as it is (only a page that is missing is written): the outcome is what its
// records say. Once `stop` asks for it on any rank, the step is finished and saved on all, and the outcome gives the
// reason. Throws InvalidInput for requests that make no sense or differ from the run that is resumed, before any weight
// is read; ResourceError for losses that are not finite, a rank that is gone or a full disk; and what loading and data
// throw.
TrainingResult run_training(const TrainingRequest& request, const Ranks& ranks, const TrainingObserver& observer,
                            const StopFlag& stop = {});
// The same on ranks that have met.
TrainingResult run_training(const TrainingRequest& request, Collective& group, const TrainingObserver& observer,
                            const StopFlag& stop = {});

}  // namespace striate

// A run with its weights: all that the loop works with.
#pragma once

#include <memory>
#include <optional>

#include "striate/data/step_source.h"
#include "striate/eval/evaluation_set.h"
#include "striate/model/lvlm.h"
#include "striate/ranks/collective.h"
#include "striate/train/distillation.h"
#include "striate/train/optimizer.h"
#include "striate/train/prepared_run.h"
#include "striate/train/run_state.h"
#include "striate/train/tunable.h"

namespace striate {

// Each member may refer to those before it.
struct TrainingSession {
  Checkpoint checkpoint;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::unique_ptr<Lvlm> model;
  std::unique_ptr<Tunable> tunable;
  std::unique_ptr<AdamW> optimizer;
  std::optional<Checkpoint> teacher_checkpoint;  // none, like the next two: without a teacher
  std::unique_ptr<Lvlm> teacher;
  std::unique_ptr<Distillation> distillation;
  std::unique_ptr<StepSource> source;
  std::unique_ptr<EvaluationSet> held_out;     // none: no samples are held out
  std::optional<PreparedBenchmark> benchmark;  // none: no benchmark is asked
  AnswerOptions answers;
  RunState start;  // where the run stands: parameters, optimiser and source are there

  // Loss and answers on the held-out samples, or a benchmark's score, which the ranks share. Throws Internal without
  // either.
  bool evaluates() const { return held_out || benchmark; }
  EvaluationMetrics evaluate(Collective& ranks, const EvaluationProgress& progress);
};

// Reads the weights, puts what is trained in place of what is frozen, and goes to where a resumed run stands. Throws
// what load_model() and restore_checkpoint() throw. `ranks` must outlive the session.
TrainingSession open_session(const TrainingRequest& request, PreparedRun prepared, Collective& ranks);

}  // namespace striate

// The training loop: one optimiser step after another, the same on every rank.
//
//   next step's streams -> forward and backward of each, sums across ranks meanwhile -> guard -> clip -> AdamW ->
//   metrics -> held-out evaluation -> checkpoint
//
// Losses are divided by the targets of the whole step on all ranks before gradients are taken, so that neither packing
// nor accumulation over streams nor the number of ranks changes an update.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "striate/base/error.h"
#include "striate/base/notes.h"
#include "striate/data/step_source.h"
#include "striate/ranks/collective.h"
#include "striate/train/gradient_sum.h"
#include "striate/train/metrics.h"
#include "striate/train/optimizer.h"
#include "striate/train/run_state.h"
#include "striate/train/schedule.h"
#include "striate/train/train_pass.h"

namespace striate {

// A step's loss or gradient was not finite, and no more such steps may be skipped.
class DivergedError : public Error {
 public:
  using Error::Error;
};

struct TrainerOptions {
  std::int64_t steps = 0;  // where the run ends, counted from its beginning
  GroupRates rates;        // base rates, which the schedule scales
  Schedule schedule;
  double max_gradient_norm = 1.0;   // 0: gradients are not clipped
  std::int64_t save_every = 0;      // steps; 0: at the end alone
  std::int64_t evaluate_every = 0;  // steps; 0: at the end alone, where there is something to evaluate with
  bool evaluate_first = false;      // before the first step of a new run as well
  std::int64_t skip_bad_steps = 0;  // how many steps of the whole run may be skipped
  std::int64_t bucket_bytes = kGradientBucket;
};

// What a run does beside training; any may be empty. Called on every rank unless said otherwise.
struct TrainerHooks {
  std::function<void(const StepMetrics&)> on_step;               // rank 0
  std::function<EvaluationMetrics(std::int64_t step)> evaluate;  // ranks share the work
  std::function<void(const EvaluationMetrics&)> on_evaluation;   // rank 0
  std::function<void(const RunState&)> save;
  std::function<int()> stop_reason;  // why this process is to stop (StopFlag), or 0
  Notes notes;                       // warned of steps that are skipped
};

// How a run ended.
struct TrainerOutcome {
  RunState state;
  int stop_reason = 0;  // why it stopped before its last step, on every rank; 0: it is done
  double loss = 0;      // of the last step taken
  double seconds = 0;
  std::optional<EvaluationMetrics> evaluation;  // the last one
};

class Trainer {
 public:
  // All must outlive the trainer. `start` is the state of the run: the parameters, the optimiser and the source are
  // there already.
  Trainer(Tunable& tunable, TrainPass& pass, StepSource& source, AdamW& optimizer, Collective& ranks,
          const TrainerOptions& options, TrainerHooks hooks, RunState start);

  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  // Trains until the last step, or until any rank has a reason to stop, and saves. A run that is asked to stop in a
  // step after which it was to evaluate saves and ends: it owes the evaluation, which the run that goes on from there
  // makes first. Throws ResourceError when a loss or gradient is not finite and no more such steps may be skipped, with
  // the parameters as they were before that step, naming samples; what the source throws.
  //
  // On a GPU a process waits for it once a step, for the numbers of the step before, which are there by then: on_step
  // comes one step late, but before anything is evaluated or saved.
  TrainerOutcome run();

 private:
  struct Launched;
  struct Numbers;
  at::Tensor run_streams(Launched& launched);
  at::Tensor sum_over_ranks(const at::Tensor& losses);
  void launch();
  void finish();
  void count(const TrainingStep& step, const Numbers& numbers);
  void report_bad(const Launched& launched, const Numbers& numbers);
  void evaluate();
  void save();

  Tunable& tunable_;
  TrainPass& pass_;
  StepSource& source_;
  AdamW& optimizer_;
  Collective& ranks_;
  TrainerOptions options_;
  std::optional<GradientSum> gradients_;  // none for a process alone
  TrainerHooks hooks_;
  RunState state_;
  std::optional<EvaluationMetrics> evaluation_;
  std::int64_t saved_step_ = -1;
  int stop_reason_ = 0;
  std::unique_ptr<Launched> launched_;  // the last step, until its numbers are known
  std::int64_t steps_launched_ = 0;
  std::chrono::steady_clock::time_point finished_at_;  // when the numbers of the last step came
  double finished_processor_ = 0;                      // processor_seconds() then
  double loss_ = 0;                                    // of that step
};

// The largest resident memory of this process so far; with a CUDA device the most that LibTorch had in use there.
std::uint64_t peak_memory(at::Device device);

}  // namespace striate

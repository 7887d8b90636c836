// What commands that train show: progress while a run goes on, and what it left behind.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "apps/striate/stop_signals.h"
#include "apps/striate/train_flags.h"
#include "striate/base/progress.h"
#include "striate/train/training_run.h"

namespace striate::app {

// What rank 0 shows while it trains, on standard error; with --json nothing. While steps are taken, SIGINT and SIGTERM
// ask for the run's end.
class TrainDisplay {
 public:
  explicit TrainDisplay(bool shown) : shown_(shown) {}

  TrainingObserver observer();
  const StopFlag& stop() const { return stop_; }
  // Ends the line of the progress bar.
  void close() { bar_.reset(); }
  void finish();

 private:
  void begin(const TrainingPlan& plan);
  void step(const StepMetrics& m);
  void evaluating(std::int64_t done, std::int64_t total);
  void evaluated(const EvaluationMetrics& m);

  bool shown_;
  StopFlag stop_;
  std::optional<StopSignals> signals_;  // from the first step to the last
  std::optional<Progress> bar_;
  std::optional<Progress> evaluation_;  // while one goes on
  std::int64_t evaluated_ = 0;          // its samples so far
};

// What to do with what a run made: "ask it with", "striate chat --model DIR".
struct NextStep {
  std::string what;
  std::string command;
};

// Runs it, shows it, and prints the result to standard output (rank 0): text, or one JSON object with --json. Returns
// the program's exit code: 0, or 128 + the signal that stopped the run.
int train_and_report(const TrainFlags& flags, const TrainingRequest& request, const Ranks& ranks, const NextStep& next);

}  // namespace striate::app

// What commands that train show: progress while a run goes on, and what it left behind.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "apps/striate/train_flags.h"
#include "striate/base/progress.h"

namespace striate::app {

// What rank 0 shows while it trains, on standard error; with --json nothing.
class TrainDisplay {
 public:
  explicit TrainDisplay(bool shown) : shown_(shown) {}

  TrainingObserver observer();
  // Ends the line that a bar stands on.
  void close() { bar_.reset(); }
  void finish();

 private:
  void begin(const TrainingPlan& plan);
  void step(const StepMetrics& m);

  bool shown_;
  std::optional<Progress> bar_;
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

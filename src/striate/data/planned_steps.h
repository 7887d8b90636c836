// Training data as planned steps: which samples make each, checked, for one rank. No weights are needed for any of it,
// so that data which cannot be trained on is refused before a model is loaded.
#pragma once

#include <cstdint>
#include <deque>
#include <exception>
#include <future>
#include <string>
#include <vector>

#include "striate/data/bad_sample_log.h"
#include "striate/data/data_sketch.h"
#include "striate/data/picture_folder.h"
#include "striate/data/step_source.h"
#include "striate/data/window_planner.h"

namespace striate {

// A step's samples that this rank trains on, packed into streams; and what is known of the whole step.
struct RankStep {
  std::vector<std::vector<PlannedSample>> streams;
  std::vector<std::string> pictures;  // of all samples, in order
  TrainingStep whole;                 // totals and position; no streams yet
};

// The steps from `start` on, without end. Windows of them are planned ahead in a thread of their own; to be used by one
// thread.
class PlannedSteps {
 public:
  // Reads the data set's index and begins to plan. The tokenizer must outlive it. Throws InvalidInput for options that
  // contradict each other and for a start beyond the data set, and what Dataset throws.
  PlannedSteps(const ModelConfig& config, const Tokenizer& tokenizer, const StepSourceOptions& options,
               const DataPosition& start);
  ~PlannedSteps();
  PlannedSteps(const PlannedSteps&) = delete;
  PlannedSteps& operator=(const PlannedSteps&) = delete;

  // As StepSource.
  std::int64_t samples_per_epoch() const { return data_.size(); }
  std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  // Optimiser steps until every sample of the first `epochs` epochs is in one. With `tokens_per_step` the tokens of all
  // texts are counted for it, a work that `ranks` share where they are given; a sample whose picture is bad counts as a
  // good one.
  std::int64_t steps_of(double epochs, RankExchange* ranks);
  // What the samples are like, from up to 1000 of them. Where none of these is good, the means are 0.
  DataSketch sketch() const { return sketch_samples(data_, encoder_).sketch; }

  // Waits until a step is planned. Throws what planning threw, such as InvalidInput for a bad sample (StepSource says
  // which).
  void wait();
  // How many are planned, the next one first; and each of them.
  std::size_t size() const { return planned_.size(); }
  const RankStep& at(std::size_t step) const { return planned_.at(step); }
  // The next one. Bad samples that were skipped on the way to it are listed in the file of them now.
  RankStep take();
  // Takes over the window that was planned meanwhile, when half of the one before is used up.
  void plan_ahead();
  // Ends the work of all threads; nothing else may be called after it.
  void stop();

  const StepSourceOptions& options() const { return options_; }
  const Dataset& data() const { return data_; }
  const PictureFolder& pictures() const { return checker_.folder(); }
  std::int64_t rows_per_image() const { return encoder_.rows_per_image(); }
  WorkerPool& pool() { return pool_; }

 private:
  void estimate_steps();
  void begin_window(OrderPosition begin);
  void adopt_window();
  void plan_step(Window& window, std::size_t step);

  StepSourceOptions options_;
  Dataset data_;
  SampleEncoder encoder_;
  WorkerPool pool_;
  PictureChecker checker_;
  WindowPlanner planner_;
  BadSampleLog log_;
  DataPosition position_;  // after the last step planned
  std::int64_t skip_steps_;
  std::int64_t steps_per_epoch_ = 1;
  std::deque<RankStep> planned_;
  std::vector<SkippedSample> skipped_;  // not listed yet
  std::size_t adopted_steps_ = 0;       // of the latest window
  std::exception_ptr failure_;          // of planning
  std::future<Window> upcoming_;        // the last member: its thread uses the others
};

}  // namespace striate

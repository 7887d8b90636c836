// Plans training data window by window: which samples are good, and which of them make each step.
//
// A window is what the next few steps take from the epoch's order. Every rank plans every window, from the same files
// and numbers, and so finds the same: each checks a share of the samples and tells the others (shared_check.h), and
// encodes what it trains on itself.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "striate/data/dataset.h"
#include "striate/data/sample_check.h"
#include "striate/data/sample_encoder.h"
#include "striate/data/step_plan.h"
#include "striate/data/step_source.h"
#include "striate/data/worker_pool.h"

namespace striate {

// A place in the epochs' order.
struct OrderPosition {
  std::int64_t epoch = 0;
  std::int64_t index = 0;  // in the epoch's order
};

struct PlannedSample {
  std::int64_t epoch = 0;
  std::int64_t index = 0;  // in the data set
  EncodedSample sample;
};

struct Window {
  OrderPosition begin;
  OrderPosition end;                   // where the next window begins
  std::vector<PlannedSample> samples;  // in the epoch's order; tokens and labels of this rank's share at least
  std::vector<SkippedSample> skipped;
  std::vector<Group> steps;  // positions in `samples`
};

std::vector<std::int64_t> lengths_of(const std::vector<PlannedSample>& samples, const Group& group);

// The members of a step that a rank trains on: positions in `samples`.
Group rank_share(const std::vector<PlannedSample>& samples, const Group& step, int rank, int ranks);

// May be used by one thread at a time; works with the pool's threads. What it is given must outlive it.
class WindowPlanner {
 public:
  WindowPlanner(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                const StepSourceOptions& options, WorkerPool& pool);

  // With `batch`, exactly that many good samples a step; with `tokens_per_step`, up to that many tokens. Bad samples
  // are passed over and the following ones take their places. A window goes on into the next epoch, so that no sample
  // of an epoch is left out. `bad_before` is how many bad samples were skipped before the window; none: they are not
  // counted. Throws InvalidInput for the first bad sample (kStop), or when more than max_bad_share were skipped: of the
  // samples drawn so far, but of 1000, or the whole data set, at least.
  Window plan(OrderPosition begin, std::optional<std::int64_t> bad_before);

  // Ends a plan() that waits for other ranks, which then throws; from any thread.
  void stop() { stop_.request_stop(); }

  // Steps of `tokens_per_step` tokens until every sample of the first `epochs` epochs is in one; `tokens` are those of
  // each sample of the data set, 0 of a bad one. It works while another thread plans.
  std::int64_t steps_of(double epochs, const std::vector<std::int64_t>& tokens) const;

  // Mean tokens of good samples, from at most 512 of the file, evenly spread; the same wherever a run begins.
  double mean_tokens() const;

 private:
  std::vector<CheckedSample> check(const std::vector<std::int64_t>& indices);
  void complete_share(Window& window);
  std::vector<std::int64_t> draw(OrderPosition from, std::size_t count);
  void refuse_if_told(const SkippedSample& bad) const;
  void ask_about_folder(const SkippedSample& bad) const;
  void count_bad(const SkippedSample& latest, std::int64_t bad, OrderPosition at) const;
  bool is_full(bool epoch_ended, std::size_t samples, std::int64_t tokens, std::int64_t next) const;
  std::size_t wanted(const Window& window) const;

  const Dataset* data_;
  const SampleEncoder* encoder_;
  PictureChecker* pictures_;
  StepSourceOptions options_;
  WorkerPool* pool_;
  std::stop_source stop_;
  std::int64_t order_epoch_ = -1;
  std::vector<std::uint32_t> order_;
};

}  // namespace striate

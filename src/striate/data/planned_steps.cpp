#include "striate/data/planned_steps.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "striate/base/strings.h"
#include "striate/data/counted_steps.h"
#include "striate/data/picture_features.h"
#include "striate/data/shared_check.h"

namespace striate {
namespace {

void check_options(const StepSourceOptions& o) {
  if ((o.batch > 0) == (o.tokens_per_step > 0)) {
    throw invalid_input("give either samples per step or tokens per step", "`batch` N or `tokens_per_step` N");
  }
  if (o.max_tokens < 2) throw invalid_input(cat("`max_tokens` ", o.max_tokens, " is too small"), "give 2 or more");
  if (o.tokens_per_stream < o.max_tokens) {
    throw invalid_input(cat("`tokens_per_stream` ", o.tokens_per_stream, ": a sample may have ", o.max_tokens,
                            " tokens (`max_tokens`)"),
                        "raise this value or lower `max_tokens`");
  }
  check_tokens_per_step(o);
  if (o.threads < 1) throw invalid_input(cat(o.threads, " threads cannot read data"), "give 1 or more");
  if (o.ranks < 1 || o.rank < 0 || o.rank >= o.ranks) throw internal_error(cat("rank ", o.rank, " of ", o.ranks));
  check_images_folder(o.images);
}

const StepSourceOptions& checked(const StepSourceOptions& options) {
  check_options(options);
  return options;
}

}  // namespace

PlannedSteps::PlannedSteps(const ModelConfig& config, const Tokenizer& tokenizer, const StepSourceOptions& options,
                           const DataPosition& start)
    : options_(checked(options)),
      data_(options.data, {options.fraction, options.seed}),
      encoder_(config, tokenizer, options.conversation, options.max_tokens),
      pool_(options.threads),
      checker_(picture_folder(config, options.images, options.preprocess, data_.pictures())),
      planner_(data_, encoder_, checker_, options_, pool_),
      log_(options.rank == 0 ? options.bad_samples_file : std::filesystem::path()),
      position_(start),
      skip_steps_(start.step_in_window) {
  if (start.epoch < 0 || start.window_start < 0 || start.window_start >= data_.size() || start.step_in_window < 0) {
    throw invalid_input(cat(options.data.string(), ": the run to resume is at sample ", start.window_start,
                            " of its epoch, but the file has ", data_.size()),
                        "resume with the data it was started with");
  }
  estimate_steps();
  begin_window({start.epoch, start.window_start});
}

PlannedSteps::~PlannedSteps() {
  stop();
}

void PlannedSteps::stop() {
  planner_.stop();
  pool_.stop();
}

void PlannedSteps::wait() {
  while (planned_.empty()) {
    if (failure_) std::rethrow_exception(failure_);
    adopt_window();
  }
}

RankStep PlannedSteps::take() {
  log_.add(std::exchange(skipped_, {}));
  RankStep step = std::move(planned_.front());
  planned_.pop_front();
  return step;
}

void PlannedSteps::plan_ahead() {
  using namespace std::chrono_literals;
  if (!failure_ && planned_.size() <= adopted_steps_ / 2 && upcoming_.wait_for(0s) == std::future_status::ready) {
    adopt_window();
  }
}

std::int64_t PlannedSteps::steps_of(double epochs, RankExchange* ranks) {
  if (options_.batch == 0) return planner_.steps_of(epochs, token_counts(data_, encoder_, pool_, ranks));
  // Steps go on from one epoch into the next, so that only the end of the last epoch is rounded up.
  const double steps = epochs * static_cast<double>(data_.size()) / static_cast<double>(options_.batch);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(steps - 1e-9)));
}

void PlannedSteps::estimate_steps() {
  const auto samples = static_cast<double>(data_.size());
  const double steps =
      options_.batch > 0 ? std::ceil(samples / static_cast<double>(options_.batch))
                         : std::ceil(samples * planner_.mean_tokens() / static_cast<double>(options_.tokens_per_step));
  steps_per_epoch_ = std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
}

void PlannedSteps::begin_window(OrderPosition begin) {
  // A run that stopped inside a window has counted its bad samples, and went on.
  const std::optional<std::int64_t> bad = skip_steps_ > 0 ? std::nullopt : std::optional(position_.bad_samples);
  upcoming_ = std::async(std::launch::async, [this, begin, bad] { return planner_.plan(begin, bad); });
}

// Takes the planned window over and begins the one after it. What failed is told once the steps before it are taken.
void PlannedSteps::adopt_window() {
  try {
    Window window = upcoming_.get();
    position_.epoch = window.begin.epoch;
    position_.window_start = window.begin.index;
    if (skip_steps_ == 0) position_.bad_samples += static_cast<std::int64_t>(window.skipped.size());
    skipped_.insert(skipped_.end(), window.skipped.begin(), window.skipped.end());
    if (skip_steps_ >= static_cast<std::int64_t>(window.steps.size()) && skip_steps_ > 0) {
      throw invalid_input(cat(options_.data.string(), ": the run to resume is at step ", skip_steps_,
                              " of a window of ", window.steps.size()),
                          "resume with the data and options it was started with");
    }
    const std::size_t steps = window.steps.size();
    for (std::size_t step = 0; step < steps; ++step) plan_step(window, step);
    skip_steps_ = 0;
    adopted_steps_ = steps;
    begin_window(window.end);
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void PlannedSteps::plan_step(Window& window, std::size_t step) {
  const Group& members = window.steps[step];
  const bool skipped = static_cast<std::int64_t>(step) < skip_steps_;
  RankStep planned;
  planned.whole.samples = static_cast<std::int64_t>(members.size());
  for (const std::size_t member : members) {
    const EncodedSample& sample = window.samples[member].sample;
    planned.whole.tokens += sample.tokens;
    planned.whole.targets += sample.targets;
    if (!skipped && sample.truncated) ++position_.truncated_samples;
  }
  if (skipped) return;
  position_.seen_samples += planned.whole.samples;
  position_.step_in_window = static_cast<std::int64_t>(step) + 1;
  planned.whole.after = position_;
  if (step + 1 == window.steps.size()) {
    planned.whole.after.epoch = window.end.epoch;
    planned.whole.after.window_start = window.end.index;
    planned.whole.after.step_in_window = 0;
  }
  const Group share = rank_share(window.samples, members, options_.rank, options_.ranks);
  for (const Group& stream : deal_budget(lengths_of(window.samples, share), options_.tokens_per_stream)) {
    auto& samples = planned.streams.emplace_back();
    for (const std::size_t place : stream) {
      samples.push_back(std::move(window.samples[share[place]]));
      const auto& images = samples.back().sample.images;
      planned.pictures.insert(planned.pictures.end(), images.begin(), images.end());
    }
  }
  planned_.push_back(std::move(planned));
}

}  // namespace striate

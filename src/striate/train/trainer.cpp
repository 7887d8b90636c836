#include "striate/train/trainer.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sum.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>

#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using Clock = std::chrono::steady_clock;

// "a, b and 3 more".
std::string some_of(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 5;
  if (names.size() <= kShown) return join(names, ", ");
  const std::vector<std::string> first(names.begin(), names.begin() + kShown);
  return cat(join(first, ", "), " and ", names.size() - kShown, " more");
}

// The samples of a stream whose own losses are not finite: a target belongs to the sample that its position lies in.
std::vector<std::string> bad_samples(const PackedBatch& batch, const at::Tensor& nll,
                                     const std::vector<std::string>& names) {
  const at::Tensor bounds = batch.cu_seqlens.to(at::kLong).contiguous();
  const auto* begin = bounds.const_data_ptr<std::int64_t>();
  const auto* end = begin + bounds.numel();
  const at::Tensor slots = batch.target_slots.cpu();
  std::vector<std::string> bad;
  std::set<std::size_t> seen;
  for (std::int64_t i = 0; i < nll.numel(); ++i) {
    if (std::isfinite(nll[i].item<float>())) continue;
    const auto sample =
        static_cast<std::size_t>(std::upper_bound(begin, end, slots[i].item<std::int64_t>()) - begin - 1);
    if (seen.insert(sample).second && sample < names.size()) bad.push_back(names[sample]);
  }
  return bad;
}

std::vector<std::string> all_samples(const TrainingStep& step) {
  std::vector<std::string> names;
  for (const auto& stream : step.sample_names) names.insert(names.end(), stream.begin(), stream.end());
  return names;
}

}  // namespace

std::uint64_t peak_memory(at::Device device) {
  if (!device.is_cpu()) {
    const auto stats = at::accelerator::getDeviceStats(device.index());
    return static_cast<std::uint64_t>(stats.allocated_bytes[0].peak);
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

// What a step's streams gave, summed over all ranks.
struct Trainer::Sums {
  double nll = 0;
  double hidden = 0;  // the distillation terms
  double kl = 0;
  int stop_reason = 0;           // of whichever rank was asked to stop
  std::vector<std::string> bad;  // this rank's samples whose loss is not finite
};

Trainer::Trainer(Tunable& tunable, TrainPass& pass, StepSource& source, AdamW& optimizer, Collective& ranks,
                 const TrainerOptions& options, TrainerHooks hooks, RunState start)
    : tunable_(tunable),
      pass_(pass),
      source_(source),
      optimizer_(optimizer),
      ranks_(ranks),
      options_(options),
      hooks_(std::move(hooks)),
      state_(std::move(start)) {}

Trainer::Sums Trainer::take(const TrainingStep& step) {
  if (step.targets <= 0) throw internal_error("a step without targets");
  tunable_.parameters().zero_gradients();
  const LossScale scale{1.0 / static_cast<double>(step.targets), 1.0 / static_cast<double>(step.tokens)};
  Sums sums;
  for (std::size_t i = 0; i < step.streams.size(); ++i) {
    const PassResult result = pass_.run(step.streams[i], scale, state_.step);
    const double nll = result.nll.sum(at::kDouble).item<double>();
    sums.nll += nll;
    sums.hidden += result.hidden;
    sums.kl += result.kl;
    if (std::isfinite(nll) || i >= step.sample_names.size()) continue;
    const std::vector<std::string> bad = bad_samples(step.streams[i], result.nll, step.sample_names[i]);
    sums.bad.insert(sums.bad.end(), bad.begin(), bad.end());
  }
  const double reason = hooks_.stop_reason ? hooks_.stop_reason() : 0;
  // One sum for what is small: the loss, and of the reason how many ranks have one and which in all.
  std::array<double, 5> small = {sums.nll, reason > 0 ? 1.0 : 0.0, reason, sums.hidden, sums.kl};
  ranks_.sum(small);
  ranks_.sum(tunable_.parameters().gradients());
  sums.nll = small[0];
  sums.hidden = small[3];
  sums.kl = small[4];
  const double asked = small[1];
  if (asked > 0) sums.stop_reason = static_cast<int>(std::lround(small[2] / asked));
  return sums;
}

// Whether the step must not be applied. Throws when no more of them may be skipped.
bool Trainer::is_bad(const TrainingStep& step, const Sums& sums, double norm) {
  const bool bad_loss = !std::isfinite(sums.nll + sums.hidden + sums.kl);
  if (!bad_loss && std::isfinite(norm)) return false;
  const std::vector<std::string> names = sums.bad.empty() ? all_samples(step) : sums.bad;
  const std::string what = cat("step ", state_.step + 1, ": the ", bad_loss ? "loss" : "gradient", " is not finite; ",
                               names.empty() ? "another rank has its samples" : "samples: " + some_of(names));
  if (state_.skipped_steps >= options_.skip_bad_steps) {
    throw resource_error(what,
                         "nothing was updated, and the last checkpoint is intact; check the samples, lower "
                         "`lr`, or allow such steps with `skip_bad_steps` N, and continue with `resume`");
  }
  hooks_.notes.warn(what + "; the step is skipped");
  return true;
}

StepMetrics Trainer::step_once() {
  const Clock::time_point begin = Clock::now();
  const TrainingStep step = source_.next();
  StepMetrics metrics;
  metrics.wait_seconds = seconds_since(begin);
  const Sums sums = take(step);
  metrics.gradient_norm = gradient_norm(tunable_.parameters());
  metrics.loss = sums.nll / static_cast<double>(step.targets);
  if (const Distillation* distillation = pass_.distillation()) {
    metrics.terms = LossTerms{metrics.loss, sums.hidden, sums.kl};
    const DistillationOptions& o = distillation->options();
    metrics.loss += o.hidden_weight * sums.hidden + o.kl_weight * sums.kl;
  }
  metrics.skipped = is_bad(step, sums, metrics.gradient_norm);
  const GroupRates rates = options_.rates.scaled(options_.schedule.factor(state_.step));
  if (!metrics.skipped) {
    optimizer_.step(rates, clip_factor(metrics.gradient_norm, options_.max_gradient_norm));
  } else {
    ++state_.skipped_steps;
  }
  stop_reason_ = sums.stop_reason;
  ++state_.step;
  state_.updates = optimizer_.updates();
  state_.samples += step.samples;
  state_.tokens += step.tokens;
  state_.targets += step.targets;
  state_.data = step.after;
  metrics.step = state_.step;
  metrics.epoch = static_cast<double>(state_.samples) / static_cast<double>(source_.samples_per_epoch());
  std::set<ParameterGroup> groups;
  for (const auto& parameter : tunable_.parameters().all()) groups.insert(parameter->group);
  for (const ParameterGroup group : groups) metrics.rates.emplace_back(group_name(group), rates.of(group));
  metrics.tokens = step.tokens;
  metrics.targets = step.targets;
  metrics.samples = step.samples;
  metrics.memory_bytes = peak_memory(tunable_.parameters().values().device());
  metrics.seconds = seconds_since(begin);
  return metrics;
}

void Trainer::evaluate() {
  if (!hooks_.evaluate) return;
  evaluation_ = hooks_.evaluate(state_.step);
  if (ranks_.rank() == 0 && hooks_.on_evaluation) hooks_.on_evaluation(*evaluation_);
}

void Trainer::save() {
  if (saved_step_ == state_.step) return;
  if (ranks_.rank() == 0 && hooks_.save) hooks_.save(state_);
  saved_step_ = state_.step;
}

TrainerOutcome Trainer::run() {
  const Clock::time_point begin = Clock::now();
  const auto due = [this](std::int64_t every) { return every > 0 && state_.step % every == 0; };
  TrainerOutcome outcome;
  if (options_.evaluate_first && state_.step == 0) evaluate();
  while (state_.step < options_.steps && stop_reason_ == 0) {
    const StepMetrics metrics = step_once();
    outcome.loss = metrics.loss;
    if (ranks_.rank() == 0 && hooks_.on_step) hooks_.on_step(metrics);
    const bool last = state_.step >= options_.steps;
    if (last || (due(options_.evaluate_every) && stop_reason_ == 0)) evaluate();
    if (last || due(options_.save_every) || stop_reason_ != 0) save();
  }
  // A reason that came in the very last step has nothing left to stop.
  outcome.stop_reason = state_.step < options_.steps ? stop_reason_ : 0;
  outcome.state = state_;
  outcome.evaluation = evaluation_;
  outcome.seconds = seconds_since(begin);
  return outcome;
}

}  // namespace striate

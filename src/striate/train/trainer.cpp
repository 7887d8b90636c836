#include "striate/train/trainer.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <set>

#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/upload.h"

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

// A step that the device may still be working on.
struct Trainer::Launched {
  TrainingStep step;
  StepMetrics metrics;          // what is known of it before it is done
  std::vector<at::Tensor> nll;  // of each stream's targets, on the device
  at::Tensor numbers;           // Numbers, fp64 in main memory once `arrived`
  std::optional<c10::Event> arrived;
  Clock::time_point begin = Clock::now();
  double begun_processor = 0;  // processor_seconds() when its samples were there
};

// What becomes known of a step when it is done: sums over all ranks, then what the optimiser says.
struct Trainer::Numbers {
  static constexpr std::int64_t kNll = 0, kHidden = 1, kKl = 2, kLosses = 3;
  // How many ranks have a reason to stop, and these reasons added up.
  static constexpr std::int64_t kAsked = 3, kReasons = 4, kSums = 5;

  explicit Numbers(const at::Tensor& numbers) : values_(numbers.const_data_ptr<double>()) {}
  double nll() const { return values_[kNll]; }
  double hidden() const { return values_[kHidden]; }
  double kl() const { return values_[kKl]; }
  double norm() const { return values_[kSums + kStepNorm]; }
  std::int64_t updates() const { return std::llround(values_[kSums + kStepUpdates]); }
  bool applied() const { return values_[kSums + kStepApplied] != 0; }
  bool bad_loss() const { return !std::isfinite(nll() + hidden() + kl()); }
  // Of all ranks; 0: none of them has one.
  int stop_reason() const {
    return values_[kAsked] > 0 ? static_cast<int>(std::lround(values_[kReasons] / values_[kAsked])) : 0;
  }

 private:
  const double* values_;
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
      state_(std::move(start)) {
  if (ranks.size() > 1) {
    gradients_.emplace(tunable.parameters(), ranks, options.bucket_bytes, optimizer.own_gradients());
  }
}

Trainer::~Trainer() = default;

// Every stream forward and back; gradients leave for the other ranks during the last one's way back. Returns the losses
// of this rank, [kLosses] fp64 on the device.
at::Tensor Trainer::run_streams(Launched& launched) {
  const TrainingStep& step = launched.step;
  if (step.targets <= 0) throw internal_error("a step without targets");
  tunable_.parameters().zero_gradients();
  if (gradients_) gradients_->begin();
  const LossScale scale{1.0 / static_cast<double>(step.targets), 1.0 / static_cast<double>(step.tokens)};
  const at::TensorOptions numbers = tunable_.parameters().gradients().options().dtype(at::kDouble);
  const at::Tensor losses = at::zeros({Numbers::kLosses}, numbers);
  const auto add = [&losses](std::int64_t place, const at::Tensor& term) {
    if (term.defined()) losses.select(0, place).add_(term);
  };
  for (const PackedBatch& stream : step.streams) {
    LayerPassed passed;
    if (gradients_ && &stream == &step.streams.back()) {
      passed = [this](std::int64_t layer) { gradients_->passed(layer); };
    }
    const PassResult result = pass_.run(stream, scale, steps_launched_, passed);
    add(Numbers::kNll, result.nll.sum(at::kDouble));
    add(Numbers::kHidden, result.hidden);
    add(Numbers::kKl, result.kl);
    launched.nll.push_back(result.nll);
  }
  return losses;
}

// The sums [kSums] fp64 of all ranks, on the device. Gradients become sums as well.
at::Tensor Trainer::sum_over_ranks(const at::Tensor& losses) {
  const double reason = hooks_.stop_reason ? hooks_.stop_reason() : 0;
  const at::Tensor asked = at::tensor({reason > 0 ? 1.0 : 0.0, reason}, at::TensorOptions(at::kDouble));
  const at::Tensor sums = at::cat({losses, uploaded(asked, losses.device())});
  if (!gradients_) {
    stop_reason_ = static_cast<int>(reason);  // nobody else has to know of it
    return sums;
  }
  gradients_->finish();
  ranks_.sum(sums);
  return sums;
}

// Gives the next step to the device. The one before is finished on the way, while this one is worked on and before it
// changes anything.
void Trainer::launch() {
  auto launched = std::make_unique<Launched>();
  launched->step = source_.next();
  StepMetrics& metrics = launched->metrics;
  metrics.wait_seconds = seconds_since(launched->begin);
  launched->begun_processor = processor_seconds();
  const at::Tensor own_losses = run_streams(*launched);
  if (launched_) finish();
  const at::Tensor sums = sum_over_ranks(own_losses);
  const GroupRates rates = options_.rates.scaled(options_.schedule.factor(steps_launched_));
  const at::Tensor losses = sums.narrow(0, 0, Numbers::kLosses);
  const at::Tensor& judged = optimizer_.step_if_finite(rates, options_.max_gradient_norm, losses);
  const at::Device device = sums.device();
  launched->numbers = at::cat({sums, judged}).to(at::kCPU, at::kDouble, /*non_blocking=*/true);
  if (!device.is_cpu()) {
    launched->arrived.emplace(device.type());
    launched->arrived->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  }
  metrics.step = ++steps_launched_;
  std::set<ParameterGroup> groups;
  for (const auto& parameter : tunable_.parameters().all()) groups.insert(parameter->group);
  for (const ParameterGroup group : groups) metrics.rates.emplace_back(group_name(group), rates.of(group));
  launched_ = std::move(launched);
}

void Trainer::count(const TrainingStep& step, const Numbers& numbers) {
  if (!numbers.applied()) ++state_.skipped_steps;
  ++state_.step;
  state_.updates = numbers.updates();
  state_.samples += step.samples;
  state_.tokens += step.tokens;
  state_.targets += step.targets;
  state_.data = step.after;
}

// Of a step that changed nothing. Throws when no more of them may be skipped.
void Trainer::report_bad(const Launched& launched, const Numbers& numbers) {
  const TrainingStep& step = launched.step;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < step.streams.size() && i < step.sample_names.size(); ++i) {
    const auto bad = bad_samples(step.streams[i], launched.nll[i].cpu(), step.sample_names[i]);
    names.insert(names.end(), bad.begin(), bad.end());
  }
  if (names.empty()) names = all_samples(step);
  const std::string what =
      cat("step ", launched.metrics.step, ": the ", numbers.bad_loss() ? "loss" : "gradient", " is not finite; ",
          names.empty() ? "another rank has its samples" : "samples: " + some_of(names));
  if (state_.skipped_steps >= options_.skip_bad_steps) {
    throw DivergedError(ErrorKind::kResource, what,
                        "nothing was updated, and the last checkpoint is intact; check the samples, lower "
                        "`lr`, or allow such steps with `skip_bad_steps` N, and continue with `resume`");
  }
  hooks_.notes.warn(what + "; the step is skipped");
}

// Waits for the numbers of the launched step, judges and tells them.
void Trainer::finish() {
  const std::unique_ptr<Launched> launched = std::move(launched_);
  if (launched->arrived) {
    ranks_.wait_until([&launched] { return launched->arrived->query(); });
    launched->arrived->synchronize();
  }
  const Numbers numbers(launched->numbers);
  if (gradients_) stop_reason_ = numbers.stop_reason();
  const TrainingStep& step = launched->step;
  StepMetrics& metrics = launched->metrics;
  metrics.gradient_norm = numbers.norm();
  metrics.loss = numbers.nll() / static_cast<double>(step.targets);
  if (const Distillation* distillation = pass_.distillation()) {
    metrics.terms = LossTerms{metrics.loss, numbers.hidden(), numbers.kl()};
    const DistillationOptions& o = distillation->options();
    metrics.loss += o.hidden_weight * numbers.hidden() + o.kl_weight * numbers.kl();
  }
  metrics.skipped = !numbers.applied();
  if (metrics.skipped) report_bad(*launched, numbers);
  count(step, numbers);
  metrics.epoch = static_cast<double>(state_.samples) / static_cast<double>(source_.samples_per_epoch());
  metrics.tokens = step.tokens;
  metrics.targets = step.targets;
  metrics.samples = step.samples;
  metrics.memory_bytes = peak_memory(tunable_.parameters().gradients().device());
  // Where it was launched beside the step before, its own time begins when that was done.
  metrics.seconds = seconds_since(std::max(launched->begin, finished_at_));
  finished_at_ = Clock::now();
  const double processor = processor_seconds();
  metrics.processor_seconds = processor - std::max(launched->begun_processor, finished_processor_);
  finished_processor_ = processor;
  loss_ = metrics.loss;
  if (ranks_.rank() == 0 && hooks_.on_step) hooks_.on_step(metrics);
}

void Trainer::evaluate() {
  state_.owes_evaluation = false;
  if (!hooks_.evaluate) return;
  evaluation_ = hooks_.evaluate(state_.step);
  if (ranks_.rank() == 0 && hooks_.on_evaluation) hooks_.on_evaluation(*evaluation_);
}

void Trainer::save() {
  if (saved_step_ == state_.step) return;
  if (hooks_.save) hooks_.save(state_);
  saved_step_ = state_.step;
}

TrainerOutcome Trainer::run() {
  const Clock::time_point begin = Clock::now();
  const bool waits_late = !tunable_.parameters().gradients().is_cpu();
  const auto due = [this](std::int64_t every) { return every > 0 && steps_launched_ % every == 0; };
  steps_launched_ = state_.step;
  TrainerOutcome outcome;
  if (state_.owes_evaluation || (options_.evaluate_first && state_.step == 0)) evaluate();
  while (steps_launched_ < options_.steps && stop_reason_ == 0) {
    launch();
    const bool last = steps_launched_ >= options_.steps;
    const bool told = last || due(options_.evaluate_every) || due(options_.save_every) || stop_reason_ != 0;
    if (!waits_late || told) finish();  // which may bring a reason to stop from another rank
    if (last || (due(options_.evaluate_every) && stop_reason_ == 0)) {
      evaluate();
    } else {
      state_.owes_evaluation = hooks_.evaluate && due(options_.evaluate_every);
    }
    if (last || due(options_.save_every) || stop_reason_ != 0) save();
  }
  outcome.loss = loss_;
  // A reason that came in the very last step has nothing left to stop.
  outcome.stop_reason = state_.step < options_.steps ? stop_reason_ : 0;
  outcome.state = state_;
  outcome.evaluation = evaluation_;
  outcome.seconds = seconds_since(begin);
  return outcome;
}

}  // namespace striate

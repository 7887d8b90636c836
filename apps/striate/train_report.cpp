#include "apps/striate/train_report.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/striate/held_out_text.h"
#include "apps/striate/terminal_notes.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

constexpr int kSignalExit = 128;  // + the signal, as shells count it; it is the reason that StopSignals gives

std::string number(const char* format, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string checkpointing_words(ActivationCheckpointing checkpointing) {
  switch (checkpointing) {
    case ActivationCheckpointing::kNone:
      return "kept";
    case ActivationCheckpointing::kMlp:
      return "kept, except the MLP's, which are recomputed";
    case ActivationCheckpointing::kLayer:
      return "recomputed layer by layer";
  }
  throw internal_error("an activation checkpointing without words");
}

// "loss 1.2345  lr 2.0e-04  1.52 k tokens/s  3.21 GB".
std::string step_note(const StepMetrics& m) {
  double rate = 0;
  for (const auto& [group, value] : m.rates) rate = std::max(rate, value);
  const double speed = m.seconds > 0 ? static_cast<double>(m.tokens) / m.seconds : 0;
  std::string terms;
  if (m.terms) {
    terms = cat(" (ce ", number("%.4f", m.terms->ce), ", hidden ", number("%.4f", m.terms->hidden), ", kl ",
                number("%.4f", m.terms->kl), ")");
  }
  return cat("loss ", number("%.4f", m.loss), terms, m.skipped ? " (skipped)" : "", "  lr ", number("%.1e", rate), "  ",
             human_count(static_cast<std::uint64_t>(speed)), " tokens/s  ", human_bytes(m.memory_bytes));
}

void print_text(const TrainFlags& flags, const TrainingRequest& request, const TrainingResult& result,
                const NextStep& next) {
  constexpr std::size_t kColumn = 19;  // where values begin
  const TrainerOutcome& outcome = result.outcome;
  const RunState& state = outcome.state;
  if (outcome.stop_reason != 0) {
    std::cout << "stopped after step " << state.step << " of " << result.plan.steps << "; saved "
              << result.checkpoint.string() << "\ncontinue with the same command and --resume\n";
    return;
  }
  std::cout << "trained " << counted(state.step, "step") << ", " << counted(state.samples, "sample") << ", "
            << human_count(static_cast<std::uint64_t>(state.tokens)) << " tokens in " << human_duration(outcome.seconds)
            << "; last loss " << number("%.4f", outcome.loss) << '\n';
  if (state.skipped_steps > 0) std::cout << "skipped steps      " << state.skipped_steps << '\n';
  if (state.data.bad_samples > 0) {
    std::cout << "bad samples        " << state.data.bad_samples << ", listed in "
              << (request.out / "bad_samples.jsonl").string() << '\n';
  }
  if (state.data.truncated_samples > 0) std::cout << "samples cut short  " << state.data.truncated_samples << '\n';
  std::cout << "result             " << flags.out << '\n'
            << "losses             " << (request.out / "metrics.jsonl").string() << '\n'
            << next.what << std::string(next.what.size() < kColumn ? kColumn - next.what.size() : 1, ' ')
            << next.command << '\n';
}

void print_json(const TrainFlags& flags, const TrainingResult& result) {
  const TrainerOutcome& outcome = result.outcome;
  nlohmann::json out = {{"out", flags.out},
                        {"done", outcome.stop_reason == 0},
                        {"steps", outcome.state.step},
                        {"first_step", result.plan.first_step},
                        {"layers", result.plan.layers.numbers()},
                        {"trained_parameters", result.plan.parameters},
                        {"samples", outcome.state.samples},
                        {"tokens", outcome.state.tokens},
                        {"loss", outcome.loss},
                        {"skipped_steps", outcome.state.skipped_steps},
                        {"bad_samples", outcome.state.data.bad_samples},
                        {"checkpoint", result.checkpoint.string()},
                        {"seconds", outcome.seconds}};
  if (outcome.stop_reason != 0) out["signal"] = outcome.stop_reason;
  if (outcome.evaluation) {
    const EvaluationMetrics& m = *outcome.evaluation;
    if (m.benchmark) {
      out["eval_benchmark"] = m.benchmark->benchmark;
      out["eval_protocol"] = m.benchmark->protocol;
      out["eval_score"] = m.benchmark->headline.value;
    } else {
      out["eval_loss"] = m.loss;
      out["eval_exact"] = m.exact;
    }
    out["eval_questions"] = m.questions;
  }
  std::cout << out.dump(2) << std::endl;
}

}  // namespace

TrainingObserver TrainDisplay::observer() {
  TrainingObserver observer;
  observer.notes = terminal_notes();
  observer.on_begin = [this](const TrainingPlan& plan) {
    signals_.emplace(stop_);
    if (shown_) begin(plan);
  };
  observer.on_trained = [this](const TrainerOutcome&) { signals_.reset(); };
  if (!shown_) return observer;
  observer.on_step = [this](const StepMetrics& m) { step(m); };
  observer.on_evaluating = [this](std::int64_t done, std::int64_t total) { evaluating(done, total); };
  observer.on_evaluation = [this](const EvaluationMetrics& m) { evaluated(m); };
  return observer;
}

void TrainDisplay::finish() {
  if (bar_) bar_->finish();
  bar_.reset();
}

void TrainDisplay::begin(const TrainingPlan& plan) {
  std::cerr << "model       " << plan.model << '\n';
  if (!plan.layers.empty()) {
    std::cerr << "region      " << plan.layers.stripes() << "  layers " << plan.layers.list() << " of "
              << plan.layers.depth() << '\n';
  }
  if (plan.teacher_bytes > 0) {
    std::cerr << "teacher     " << human_bytes(static_cast<std::uint64_t>(plan.teacher_bytes))
              << " for its weights and its hidden states of a stream\n";
  }
  std::cerr << "trained     " << human_count(static_cast<std::uint64_t>(plan.parameters)) << " parameters\n"
            << "activations " << checkpointing_words(plan.checkpointing) << '\n'
            << "data        " << counted(plan.samples, "sample") << ", " << counted(plan.steps, "step");
  if (plan.ranks > 1) std::cerr << ", " << plan.ranks << " ranks";
  std::cerr << '\n';
  if (!plan.resumed_from.empty()) std::cerr << "resumed     from " << plan.resumed_from.string() << '\n';
  bar_.emplace("Training", static_cast<std::uint64_t>(plan.steps), ProgressOptions::standard_error("steps"));
  bar_->start_at(static_cast<std::uint64_t>(plan.first_step));
}

// The line is the evaluation's while it lasts, and its time is no part of the training's rate.
void TrainDisplay::evaluating(std::int64_t done, std::int64_t total) {
  if (!evaluation_) {
    bar_->pause();
    evaluation_.emplace("Evaluating", static_cast<std::uint64_t>(total), ProgressOptions::standard_error("samples"));
  }
  evaluation_->advance(static_cast<std::uint64_t>(done - evaluated_));
  evaluated_ = done;
}

void TrainDisplay::evaluated(const EvaluationMetrics& m) {
  if (evaluation_) evaluation_->clear();
  evaluation_.reset();
  evaluated_ = 0;
  print_held_out(cat("held out after step ", m.step), m);
  bar_->resume();
}

void TrainDisplay::step(const StepMetrics& m) {
  bar_->set_note(step_note(m));
  bar_->advance();
}

int train_and_report(const TrainFlags& flags, const TrainingRequest& request, const Ranks& ranks,
                     const NextStep& next) {
  TrainDisplay display(ranks.rank == 0 && !flags.json);
  const TrainingResult result = run_training(request, ranks, display.observer(), display.stop());
  if (result.outcome.stop_reason == 0) {
    display.finish();
  } else {
    display.close();
  }
  if (ranks.rank == 0) flags.json ? print_json(flags, result) : print_text(flags, request, result, next);
  return result.outcome.stop_reason == 0 ? 0 : kSignalExit + result.outcome.stop_reason;
}

}  // namespace striate::app

// striate train: teaches a model to see by changing a region of it.
#include <array>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/command.h"
#include "apps/striate/train_flags.h"
#include "striate/base/error.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/region/layer_set.h"

namespace striate::app {
namespace {

constexpr int kSignalExit = 128;  // + the signal, as shells count it

std::string number(const char* format, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string policy_name(ActivationPolicy policy) {
  switch (policy) {
    case ActivationPolicy::kKeep:
      return "kept";
    case ActivationPolicy::kRecomputeMlp:
      return "kept but for the MLP's, which are computed again";
    case ActivationPolicy::kRecomputeLayer:
      return "computed again, layer by layer";
  }
  throw internal_error("unknown activation policy");
}

// "loss 1.2345  lr 2.0e-04  1.52 k tokens/s  3.21 GB".
std::string step_note(const StepMetrics& m) {
  double rate = 0;
  for (const auto& [group, value] : m.rates) rate = std::max(rate, value);
  const double speed = m.seconds > 0 ? static_cast<double>(m.tokens) / m.seconds : 0;
  return cat("loss ", number("%.4f", m.loss), m.skipped ? " (skipped)" : "", "  lr ", number("%.1e", rate), "  ",
             human_count(static_cast<std::uint64_t>(speed)), " tokens/s  ", human_bytes(m.memory_bytes));
}

// What rank 0 shows while it trains; with --json nothing.
class Display {
 public:
  explicit Display(bool shown) : shown_(shown) {}

  TrainingObserver observer() {
    if (!shown_) return {};
    return {.on_begin = [this](const TrainingPlan& plan) { begin(plan); },
            .on_step = [this](const StepMetrics& m) { step(m); },
            .on_evaluation = [this](const EvaluationMetrics& m) { evaluation(m); },
            .on_save = [](const std::filesystem::path&) {}};
  }

  // Ends the line that a bar stands on.
  void close() { bar_.reset(); }
  void finish() {
    if (bar_) bar_->finish();
    bar_.reset();
  }

 private:
  void begin(const TrainingPlan& plan) {
    std::cerr << "model       " << plan.model << '\n';
    if (!plan.layers.empty()) {
      std::cerr << "region      " << stripes(plan.layers, plan.total_layers) << "  layers "
                << layer_list_text(plan.layers) << " of " << plan.total_layers << '\n';
    }
    std::cerr << "trained     " << human_count(static_cast<std::uint64_t>(plan.parameters)) << " parameters\n"
              << "activations " << policy_name(plan.policy) << '\n'
              << "data        " << plan.samples << " samples, " << plan.steps << " steps";
    if (plan.ranks > 1) std::cerr << ", " << plan.ranks << " ranks";
    std::cerr << '\n';
    if (!plan.resumed_from.empty()) std::cerr << "resumed     from " << plan.resumed_from.string() << '\n';
    bar_.emplace("Training", static_cast<std::uint64_t>(plan.steps), ProgressOptions::standard_error("steps"));
    bar_->start_at(static_cast<std::uint64_t>(plan.first_step));
  }

  void step(const StepMetrics& m) {
    bar_->set_note(step_note(m));
    bar_->advance();
  }

  static void evaluation(const EvaluationMetrics& m) {
    std::cerr << "\nheld out after step " << m.step << ": loss " << number("%.4f", m.loss);
    if (m.questions > 0) {
      std::cerr << ", " << m.exact << " of " << m.questions << " answers exact ("
                << number("%.1f", 100.0 * static_cast<double>(m.exact) / static_cast<double>(m.questions)) << "%)";
    }
    std::cerr << '\n';
  }

  bool shown_;
  std::optional<Progress> bar_;
};

std::string model_words(const TrainFlags& flags) {
  if (!flags.model.model.empty()) return "--model " + flags.model.model;
  return cat("--llm ", flags.model.llm, " --vision-tower ", flags.model.vision_tower, " --projector ",
             flags.model.projector);
}

// How to use what a run made.
std::string chat_words(const TrainFlags& flags, const TrainingRequest& request) {
  if (request.tune.stage == Stage::kAlign) {
    const std::string base = flags.model.model.empty()
                                 ? cat("--llm ", flags.model.llm, " --vision-tower ", flags.model.vision_tower)
                                 : "--model " + flags.model.model;
    return cat("striate train ", base, " --projector ", flags.out, " --stage tune ...");
  }
  if (request.tune.stage == Stage::kTune && request.tune.kind == TuneKind::kLora) {
    return cat("striate chat ", model_words(flags), " --adapter ", flags.out);
  }
  return cat("striate chat --model ", flags.out);
}

void print_text(const TrainFlags& flags, const TrainingRequest& request, const TrainingResult& result) {
  const TrainerOutcome& outcome = result.outcome;
  const RunState& state = outcome.state;
  if (outcome.signal != 0) {
    std::cout << "stopped after step " << state.step << " of " << result.plan.steps << "; saved "
              << result.checkpoint.string() << "\ngo on with the same command and --resume\n";
    return;
  }
  std::cout << "trained " << state.step << " steps, " << state.samples << " samples, "
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
            << (request.tune.stage == Stage::kAlign ? "go on with         " : "ask it with        ")
            << chat_words(flags, request) << '\n';
}

void print_json(const TrainFlags& flags, const TrainingResult& result) {
  const TrainerOutcome& outcome = result.outcome;
  nlohmann::json out = {{"out", flags.out},
                        {"done", outcome.signal == 0},
                        {"steps", outcome.state.step},
                        {"first_step", result.plan.first_step},
                        {"layers", result.plan.layers},
                        {"trained_parameters", result.plan.parameters},
                        {"samples", outcome.state.samples},
                        {"tokens", outcome.state.tokens},
                        {"loss", outcome.loss},
                        {"skipped_steps", outcome.state.skipped_steps},
                        {"bad_samples", outcome.state.data.bad_samples},
                        {"checkpoint", result.checkpoint.string()},
                        {"seconds", outcome.seconds}};
  if (outcome.signal != 0) out["signal"] = outcome.signal;
  if (outcome.evaluation) {
    out["eval_loss"] = outcome.evaluation->loss;
    out["eval_questions"] = outcome.evaluation->questions;
    out["eval_exact"] = outcome.evaluation->exact;
  }
  std::cout << out.dump(2) << std::endl;
}

int run_train(const TrainFlags& flags, CLI::App& command) {
  flags.read_config(command);
  const Ranks ranks = find_ranks();
  const TrainingRequest request = flags.training_request(command, ranks);
  Display display(!flags.json);
  const TrainingResult result = run_training(request, ranks, display.observer());
  if (result.outcome.signal == 0) {
    display.finish();
  } else {
    display.close();
  }
  if (ranks.rank == 0) {
    if (flags.json) {
      print_json(flags, result);
    } else {
      print_text(flags, request, result);
    }
  }
  return result.outcome.signal == 0 ? 0 : kSignalExit + result.outcome.signal;
}

}  // namespace

void add_train(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = app.add_subcommand("train", "Teach a model to see, by changing a region of it");
  flags->add_to(*command);
  command->footer(
      example("striate train --model llava-1.5-7b-hf --data conversations.json --images pictures "
              "--layers paper --out tuned"));
  command->callback([flags, command, &run] {
    run.computes = true;
    run.action = [flags, command, &run] { run.exit_code = run_train(*flags, *command); };
  });
}

}  // namespace striate::app

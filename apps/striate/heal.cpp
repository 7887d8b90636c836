// striate heal: short tuning of a pruned model, with the model it was cut from as a teacher.
#include <memory>

#include "apps/striate/command.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/terminal_notes.h"
#include "apps/striate/train_flags.h"
#include "apps/striate/train_report.h"
#include "apps/striate/unread_run_flags.h"
#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/train/healing.h"

namespace striate::app {
namespace {

struct HealFlags {
  TrainFlags train;
  std::string teacher, teacher_adapter, hidden_layers;
  std::optional<double> hidden_weight, kl_weight, temperature;
};

std::optional<ModelPaths> teacher_paths(const HealFlags& flags) {
  if (flags.teacher.empty()) {
    const bool asked = flags.hidden_weight || flags.kl_weight || flags.temperature || !flags.hidden_layers.empty() ||
                       !flags.teacher_adapter.empty();
    if (!asked) return std::nullopt;
    throw invalid_input("distillation needs a teacher", "give the model before pruning: --teacher DIR");
  }
  ModelPaths paths;
  paths.model = existing_path("--teacher", flags.teacher);
  if (!flags.teacher_adapter.empty()) paths.adapter = existing_path("--teacher-adapter", flags.teacher_adapter);
  return paths;
}

TeacherRequest teacher_request(const HealFlags& flags, const ModelPaths& paths) {
  TeacherRequest teacher;
  teacher.model = paths;
  teacher.hidden_weight = flags.hidden_weight.value_or(1.0);
  teacher.kl_weight = flags.kl_weight.value_or(1.0);
  teacher.temperature = flags.temperature.value_or(1.0);
  teacher.hidden_layers = flags.hidden_layers;
  return teacher;
}

void refuse_unread_of_teacher(const HealFlags& flags, const TypedFlags& typed) {
  if (flags.hidden_weight == 0.0) {
    refuse_unread(typed, {"--hidden-layers"}, "does not apply to --hidden-weight 0", "give one of them");
  }
  if (flags.kl_weight == 0.0) {
    refuse_unread(typed, {"--temperature"}, "does not apply to --kl-weight 0", "give one of them");
  }
}

HealTune what_is_tuned(const std::string& tune) {
  if (tune == "auto") return HealTune::kAuto;
  if (tune == "projector") return HealTune::kProjector;
  if (tune == "lora") return HealTune::kLora;
  if (tune == "full") return HealTune::kFull;
  throw invalid_input(cat("--tune ", tune, ": unknown"), "known: auto, projector, lora, full");
}

int run_heal(const HealFlags& flags, CLI::App& command) {
  const TypedFlags typed = typed_flags(command);
  flags.train.read_config(command);
  refuse_unread_of_run(flags.train, typed);
  refuse_unread_of_teacher(flags, typed);
  const Ranks ranks = find_ranks();
  HealingRequest healing;
  healing.model = flags.train.model.paths();
  healing.teacher = teacher_paths(flags);
  healing.tune = what_is_tuned(flags.train.tune);
  healing.layers = flags.train.layers;
  const HealingPlan plan = plan_healing(healing);
  refuse_unread_of_healing(plan.tune, typed);
  TrainFlags train = flags.train;
  train.tune = plan.tune == HealTune::kLora ? "lora" : "full";
  train.layers = plan.layers;
  TrainingRequest request = healing_run(train.training_request(command, ranks), plan);
  if (healing.teacher) request.teacher = teacher_request(flags, *healing.teacher);
  if (!plan.warning.empty() && ranks.rank == 0) terminal_notes().warn(plan.warning);
  const std::string with = plan.tune == HealTune::kLora ? cat(train.model.model, " --adapter ", train.out) : train.out;
  return train_and_report(train, request, ranks, {"ask it with", "striate chat --model " + with});
}

// What the flags of training do here: there is no stage but that of tuning.
void adapt_flags_of_training(CLI::App& command) {
  command.remove_option(command.get_option("--stage"));
  command.get_option("--batch")->description("Samples per step, over all ranks; default: 128");
  command.get_option("--lr")->description(
      "Learning rate of the adapters or of the layers' weights; default: 2e-4 (lora), 2e-5 (full)");
  command.get_option("--projector-lr")->description("Learning rate of the projector; default: 2e-5");
  command.get_option("--tune")->description(
      "Parts to tune: projector; lora (adapters on --layers, and the projector); full (all weights of both); auto "
      "(projector, or lora where more than a fifth of the layers is gone or --layers is given)");
  command.get_option("--layers")
      ->description(
          "Layers that may change, by the pruned model's numbers; from-run (the default): the region of the earlier "
          "tuning");
}

void add_flags(HealFlags& flags, CLI::App& command) {
  flags.train.tune = "auto";
  flags.train.add_to(command);
  adapt_flags_of_training(command);
  const std::string group = "Teacher";
  command.add_option("--teacher", flags.teacher, "Folder of the model before it was pruned")
      ->type_name("DIR")
      ->group(group);
  command.add_option("--teacher-adapter", flags.teacher_adapter, "Folder of the teacher's adapter, if it has one")
      ->type_name("DIR")
      ->group(group);
  command.add_option("--hidden-weight", flags.hidden_weight, "Weight of the hidden-state loss; default: 1")
      ->check(number(0, 1e6))
      ->type_name("X")
      ->group(group);
  command
      .add_option("--hidden-layers", flags.hidden_layers,
                  "Layers whose outputs the hidden-state loss compares; default: all")
      ->type_name("SPEC")
      ->group(group);
  command
      .add_option("--kl-weight", flags.kl_weight,
                  "Weight of the KL divergence from the teacher's next-token probabilities; default: 1")
      ->check(number(0, 1e6))
      ->type_name("X")
      ->group(group);
  command.add_option("--temperature", flags.temperature, "Temperature of these probabilities; default: 1")
      ->check(number(1e-6, 1e3))
      ->type_name("X")
      ->group(group);
}

}  // namespace

void add_heal(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<HealFlags>();
  CLI::App* command = app.add_subcommand("heal", "Tune a pruned model briefly, to recover what pruning cost");
  add_flags(*flags, *command);
  command->footer(
      example("striate heal --model pruned --teacher llava-1.5-7b-hf --teacher-adapter tuned --data conversations.json "
              "--images pictures --steps 200 --out healed"));
  command->callback([flags, command, &run] {
    run.computes = true;
    run.action = [flags, command, &run] { run.exit_code = run_heal(*flags, *command); };
  });
}

}  // namespace striate::app

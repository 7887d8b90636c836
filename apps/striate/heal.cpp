// striate heal: short tuning of a pruned model, with the model it was cut from as a teacher.
#include <iostream>
#include <memory>

#include "apps/striate/command.h"
#include "apps/striate/train_flags.h"
#include "apps/striate/train_report.h"
#include "striate/base/error.h"
#include "striate/base/log.h"
#include "striate/base/strings.h"
#include "striate/region/layer_set.h"
#include "striate/region/recorded_region.h"
#include "striate/train/healing.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;

struct HealFlags {
  TrainFlags train;
  std::string teacher, teacher_adapter, hidden_layers;
  std::optional<double> hidden_weight, kl_weight, temperature;
};

std::optional<ModelPaths> teacher_paths(const HealFlags& flags) {
  const auto existing = [](const std::string& flag, const std::string& path) {
    if (!fs::exists(path)) throw invalid_input(cat(flag, " ", path, ": no such file or folder"), "check the path");
    return path;
  };
  if (flags.teacher.empty()) {
    const bool asked = flags.hidden_weight || flags.kl_weight || flags.temperature || !flags.hidden_layers.empty() ||
                       !flags.teacher_adapter.empty();
    if (!asked) return std::nullopt;
    throw invalid_input("distillation needs a teacher", "give the model before pruning: --teacher DIR");
  }
  ModelPaths paths;
  paths.model = existing("--teacher", flags.teacher);
  if (!flags.teacher_adapter.empty()) paths.adapter = existing("--teacher-adapter", flags.teacher_adapter);
  return paths;
}

TeacherRequest teacher_request(const HealFlags& flags, const ModelPaths& paths, const HealingPair& pair) {
  TeacherRequest teacher;
  teacher.model = paths;
  teacher.hidden_weight = flags.hidden_weight.value_or(1.0);
  teacher.kl_weight = flags.kl_weight.value_or(1.0);
  teacher.temperature = flags.temperature.value_or(1.0);
  teacher.hidden_layers = flags.hidden_layers;
  teacher.original = pair.teacher_layers;
  return teacher;
}

// "projector", "lora" or "full".
std::string what_is_tuned(const HealFlags& flags, const HealingPair& pair) {
  const std::string& tune = flags.train.tune;
  if (tune == "projector" || tune == "lora" || tune == "full") return tune;
  if (tune != "auto") {
    throw invalid_input(cat("--tune ", tune, ": unknown"), "known: auto, projector, lora, full");
  }
  if (!flags.train.layers.empty()) return "lora";
  return pair.removed_share() <= kProjectorAloneShare ? "projector" : "lora";
}

// The region to tune, by the pruned model's numbers.
std::string region_of(const HealFlags& flags, const ModelPaths& model, const HealingPair& pair) {
  const std::string& asked = flags.train.layers;
  if (!asked.empty() && asked != "from-run") return asked;
  if (const auto region = recorded_region(*model.model, pair.layers())) return layer_list_text(*region);
  throw invalid_input(
      asked.empty() ? std::string("--layers: which layers may healing change?")
                    : cat("--layers from-run: ", model.model->string(), " records no region"),
      "name them by the pruned model's numbers, e.g. --layers uniform:25%; the projector alone: --tune projector");
}

int run_heal(const HealFlags& flags, CLI::App& command) {
  flags.train.read_config(command);
  const Ranks ranks = find_ranks();
  TrainFlags train = flags.train;
  const ModelPaths model = train.model.paths();
  if (!model.model) throw invalid_input("no model was given", "give the pruned model's folder: --model DIR");
  const std::optional<ModelPaths> teacher = teacher_paths(flags);
  const HealingPair pair = healing_pair(model, teacher);
  const std::string tuned = what_is_tuned(flags, pair);
  train.tune = tuned == "lora" ? "lora" : "full";
  if (tuned == "projector") {
    if (!train.layers.empty()) {
      throw invalid_input(cat("--layers with --tune projector"),
                          "healing the projector alone tunes no layer: leave --layers out, or --tune lora");
    }
  } else {
    train.layers = region_of(flags, model, pair);
  }
  TrainingRequest request = train.training_request(command, ranks);
  request.command = "heal";
  request.projector_alone = tuned == "projector";
  if (teacher) request.teacher = teacher_request(flags, *teacher, pair);
  if (tuned == "projector" && pair.removed_share() > kProjectorAloneShare && ranks.rank == 0) {
    log_warn(cat(pair.model.depth - pair.layers(), " of ", pair.model.depth,
                 " layers were removed, more than a fifth: --tune lora is likely to heal more"));
  }
  const std::string with = tuned == "lora" ? cat(train.model.model, " --adapter ", train.out) : train.out;
  return train_and_report(train, request, ranks, {"ask it with", "striate chat --model " + with});
}

void add_flags(HealFlags& flags, CLI::App& command) {
  flags.train.tune = "auto";
  flags.train.add_to(command);
  command.remove_option(command.get_option("--stage"));
  command.get_option("--tune")->description(
      "projector; lora: adapters on --layers, and the projector; full: all weights of both; auto: the projector, and "
      "lora where more than a fifth of the layers is gone or --layers is given");
  command.get_option("--layers")
      ->description(
          "Which layers may change, by the pruned model's numbers; from-run (the default): the region of the tuning "
          "before");
  const std::string group = "Teacher";
  command.add_option("--teacher", flags.teacher, "The model before it was pruned")->type_name("DIR")->group(group);
  command.add_option("--teacher-adapter", flags.teacher_adapter, "Its adapter, where it has one")
      ->type_name("DIR")
      ->group(group);
  command.add_option("--hidden-weight", flags.hidden_weight, "Of the distance to its hidden states; default: 1")
      ->type_name("X")
      ->group(group);
  command.add_option("--hidden-layers", flags.hidden_layers, "Which layers' outputs are compared; default: all")
      ->type_name("SPEC")
      ->group(group);
  command.add_option("--kl-weight", flags.kl_weight, "Of the divergence from its next tokens; default: 1")
      ->type_name("X")
      ->group(group);
  command.add_option("--temperature", flags.temperature, "At which these are compared; default: 1")
      ->type_name("X")
      ->group(group);
}

}  // namespace

void add_heal(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<HealFlags>();
  CLI::App* command = app.add_subcommand("heal", "Tune a pruned model for a short while, to make up for its layers");
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

// striate train: teaches a model to see by changing a region of it.
#include <memory>

#include "apps/striate/command.h"
#include "apps/striate/train_flags.h"
#include "apps/striate/train_report.h"
#include "apps/striate/unread_run_flags.h"
#include "striate/base/strings.h"
#include "striate/train/adapter_out.h"

namespace striate::app {
namespace {

std::string model_words(const TrainFlags& flags) {
  if (!flags.model.model.empty()) return "--model " + flags.model.model;
  return cat("--llm ", flags.model.llm, " --vision-tower ", flags.model.vision_tower, " --projector ",
             flags.model.projector);
}

// How to use what a run made.
NextStep next_step(const TrainFlags& flags, const TrainingRequest& request) {
  const OutcomeKind kind = outcome_kind(request.tune);
  if (request.tune.stage == Stage::kAlign) {
    const std::string base = flags.model.model.empty()
                                 ? cat("--llm ", flags.model.llm, " --vision-tower ", flags.model.vision_tower)
                                 : "--model " + flags.model.model;
    // With a vision tower that was trained a whole model was written.
    const std::string aligned =
        kind == OutcomeKind::kModel ? cat("--model ", flags.out) : cat(base, " --projector ", flags.out);
    return {"go on with", cat("striate train ", aligned, " --stage tune ...")};
  }
  if (kind == OutcomeKind::kAdapter) {
    return {"ask it with", cat("striate chat ", model_words(flags), " --adapter ", flags.out)};
  }
  return {"ask it with", cat("striate chat --model ", flags.out)};
}

int run_train(const TrainFlags& flags, CLI::App& command) {
  const TypedFlags typed = typed_flags(command);
  flags.read_config(command);
  refuse_unread_of_run(flags, typed);
  refuse_unread_of_stage(flags, typed);
  const Ranks ranks = find_ranks();
  const TrainingRequest request = flags.training_request(command, ranks);
  return train_and_report(flags, request, ranks, next_step(flags, request));
}

}  // namespace

void add_train(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = app.add_subcommand("train", "Teach a model to see by tuning a region of its layers");
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

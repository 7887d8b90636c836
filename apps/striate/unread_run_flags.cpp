#include "apps/striate/unread_run_flags.h"

#include "striate/base/strings.h"
#include "striate/train/adapter_out.h"

namespace striate::app {
namespace {

void refuse_unread_of_evaluation(const HeldOutFlags& held_out, const TypedFlags& typed) {
  if (!held_out.benchmark.empty()) {
    refuse_unread(typed, {"--eval-max-tokens"}, "does not apply to --eval-benchmark",
                  "leave it out: the benchmark's protocol says how long an answer may be");
  } else if (held_out.data.empty()) {
    refuse_unread(typed, {"--eval-images", "--eval-samples", "--eval-max-tokens", "--eval-every", "--eval-first"},
                  "needs --eval-data", "give what to evaluate on with --eval-data, or leave it out");
  }
}

void refuse_adapter_flags(const TypedFlags& typed, const std::string& why, const std::string& hint) {
  refuse_unread(typed, {"--lora-r", "--lora-alpha", "--lora-dropout", "--lora-targets"}, why, hint);
}

void refuse_flags_of_a_whole_model(OutcomeKind written, const TypedFlags& typed) {
  if (written == OutcomeKind::kModel) return;
  const std::string what = written == OutcomeKind::kAdapter ? "an adapter" : "a projector";
  refuse_unread(typed, {"--save-dtype", "--max-shard-size"}, cat("does not apply to a run that writes ", what),
                "leave it out: it is about the weight files of a whole model");
}

void refuse_adapter_flags_of_full_tuning(const TypedFlags& typed) {
  refuse_adapter_flags(typed, "does not apply to --tune full", "leave it out, or tune adapters with --tune lora");
}

}  // namespace

void refuse_unread_of_run(const TrainFlags& flags, const TypedFlags& typed) {
  refuse_unread_of_evaluation(flags.held_out, typed);
  if (flags.warmup_steps) {
    refuse_unread(typed, {"--warmup-ratio"}, "does not apply to a warm-up of --warmup-steps", "give one of them");
  }
  if (flags.on_bad_sample != "skip") {
    refuse_unread(typed, {"--max-bad-share"}, "needs --on-bad-sample skip",
                  "without it the first bad sample stops the run: add it, or leave out --max-bad-share");
  }
  if (flags.request.tune.freeze_projector) {
    refuse_unread(typed, {"--projector-lr"}, "does not apply to --freeze-projector", "give one of them");
  }
  if (flags.request.tune.tune_vision_tower) {
    refuse_unread(typed, {"--feature-cache", "--feature-cache-dir"}, "does not apply to --tune-vision-tower",
                  "leave it out: features of a vision tower that is trained are not cached");
  } else {
    refuse_unread(typed, {"--vision-tower-lr"}, "needs --tune-vision-tower",
                  "add --tune-vision-tower to train the vision tower, or leave it out");
  }
}

void refuse_unread_of_stage(const TrainFlags& flags, const TypedFlags& typed) {
  const TuneMethod method = flags.tune_method();
  if (method.stage == Stage::kAlign) {
    refuse_unread(typed, {"--lr"}, "does not apply to --stage align, which trains only the projector",
                  "give its learning rate with --projector-lr");
  }
  if (method.stage != Stage::kTune) {
    const std::string why = cat("does not apply to --stage ", flags.stage);
    refuse_unread(typed, {"--tune"}, why, "leave it out: only --stage tune has kinds of tuning");
    refuse_adapter_flags(typed, why, "leave it out: only --stage tune has adapters");
  } else if (method.kind == TuneKind::kFull) {
    refuse_adapter_flags_of_full_tuning(typed);
  }
  refuse_flags_of_a_whole_model(outcome_kind(method), typed);
}

void refuse_unread_of_healing(HealTune tune, const TypedFlags& typed) {
  if (tune == HealTune::kProjector) {
    const std::string why = "does not apply: only the projector is tuned";
    refuse_unread(typed, {"--lr"}, why,
                  "give its learning rate with --projector-lr, or tune layers as well with --tune lora");
    refuse_adapter_flags(typed, why, "leave it out, or tune layers as well with --tune lora");
  } else if (tune == HealTune::kFull) {
    refuse_adapter_flags_of_full_tuning(typed);
  } else {
    refuse_flags_of_a_whole_model(OutcomeKind::kAdapter, typed);
  }
}

}  // namespace striate::app

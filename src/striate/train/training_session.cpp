#include "striate/train/training_session.h"

#include <utility>

#include "striate/base/error.h"

namespace striate {

EvaluationMetrics TrainingSession::evaluate(Collective& ranks, const EvaluationProgress& progress) {
  if (benchmark) {
    return evaluate_benchmark(*model, tokenizer, benchmark->opened, benchmark->exchange.get(), benchmark->asking,
                              progress);
  }
  if (!held_out) throw internal_error("an evaluation without held-out samples");
  if (tunable->options().tune_vision_tower) held_out->forget_features();
  return evaluate_held_out(*model, tokenizer, *held_out, ranks, answers, progress);
}

TrainingSession open_session(const TrainingRequest& request, PreparedRun prepared, Collective& ranks) {
  TrainingSession session;
  session.checkpoint = std::move(prepared.checkpoint);
  session.tokenizer = prepared.tokenizer;
  session.answers = prepared.answers;
  Placement placement = request.placement;
  placement.quantized = quantized_layers(session.checkpoint.config.decoder, prepared.tune);
  session.model = load_model(session.checkpoint, placement);
  session.tunable = std::make_unique<Tunable>(*session.model, prepared.tune, &session.checkpoint.weights);
  session.optimizer = std::make_unique<AdamW>(session.tunable->parameters(), request.adamw,
                                              request.shard_optimizer && ranks.size() > 1 ? &ranks : nullptr);
  if (prepared.teacher) {
    session.teacher_checkpoint = std::move(prepared.teacher->checkpoint);
    session.teacher = load_model(*session.teacher_checkpoint, request.placement);
    session.distillation =
        std::make_unique<Distillation>(*session.teacher, session.model->config(), prepared.teacher->options);
  }
  session.source = open_step_source(*session.model, std::move(prepared.steps), prepared.plan.device_cache_bytes);
  session.benchmark = std::move(prepared.benchmark);
  if (prepared.held_out) {
    session.held_out = std::make_unique<EvaluationSet>(*session.model, std::move(*prepared.held_out));
  }
  if (prepared.found) {
    restore_checkpoint(*prepared.found, session.tunable->parameters(), *session.optimizer);
    session.start = prepared.found->state;
  } else {
    session.start.settings = std::move(prepared.settings);
  }
  return session;
}

}  // namespace striate

#include "striate/train/training_run.h"

#include <memory>
#include <optional>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/tensor/torch_errors.h"
#include "striate/train/adapter_out.h"
#include "striate/train/held_out_records.h"
#include "striate/train/run_folder.h"
#include "striate/train/run_records.h"
#include "striate/train/run_settings.h"
#include "striate/train/training_page.h"
#include "striate/train/training_session.h"

namespace striate {
namespace {

TrainerOptions trainer_options(const TrainingRequest& request, const Schedule& schedule) {
  TrainerOptions options;
  options.steps = schedule.total_steps;
  options.rates = request.rates;
  options.schedule = schedule;
  options.max_gradient_norm = request.max_gradient_norm;
  options.save_every = request.save_every;
  options.evaluate_every = request.held_out.every;
  options.evaluate_first = request.held_out.first;
  options.skip_bad_steps = request.skip_bad_steps;
  return options;
}

// What is done beside training; `records` is rank 0's, and null elsewhere. `saved` is told where checkpoints are.
TrainerHooks trainer_hooks(const TrainingRequest& request, TrainingSession& session, RunRecords* records,
                           std::filesystem::path& saved, Collective& group, const TrainingObserver& observer,
                           const StopFlag& stop) {
  TrainerHooks hooks;
  hooks.notes = observer.notes;
  hooks.stop_reason = [&stop] { return stop.reason(); };
  if (session.evaluates()) {
    hooks.evaluate = [&request, &session, &group,
                      progress = records != nullptr ? observer.on_evaluating : nullptr](std::int64_t step) {
      EvaluationMetrics metrics = session.evaluate(group, progress);
      metrics.step = step;
      keep_held_out_answers(request.out, metrics, group);
      return metrics;
    };
  }
  hooks.save = [records, &request, &session, &saved, &observer](const RunState& state) {
    // All ranks may have parts of them.
    const NamedTensors values = session.optimizer->values();
    const NamedTensors moments = session.optimizer->moments();
    if (records == nullptr) return;
    records->sync();
    saved = save_checkpoint(request.out / "checkpoints", state, values, moments, request.keep);
    if (observer.on_save) observer.on_save(saved);
  };
  if (records == nullptr) return hooks;
  hooks.on_step = [records, &observer](const StepMetrics& m) {
    records->add(m);
    if (observer.on_step) observer.on_step(m);
  };
  hooks.on_evaluation = [records, &observer](const EvaluationMetrics& m) {
    records->add(m);
    if (observer.on_evaluation) observer.on_evaluation(m);
  };
  return hooks;
}

// A run that is trained and written does not fail for want of its page.
void leave_page(const std::filesystem::path& out, const Notes& notes) {
  try {
    write_training_page(out);
  } catch (const Error& error) {
    notes.tell(cat(kTrainingPageFile, " was not written, which changes nothing about the run: ", error.what()));
  }
}

// How a run ended that has no step left and whose result is written; nullopt where there is something to do.
std::optional<TrainerOutcome> finished_outcome(const TrainingRequest& request, const PreparedRun& prepared,
                                               Collective& group) {
  std::optional<TrainerOutcome> outcome;
  if (prepared.found && prepared.found->state.step >= prepared.plan.steps) {
    outcome = recorded_outcome(request.out, outcome_kind(request.tune), prepared.found->state);
  }
  // Ranks that see different files go on together.
  if (!group.agree(outcome ? "finished" : "unfinished")) outcome.reset();
  return outcome;
}

// Where no step was left, what became of the last one is known from the run's own lines.
TrainerOutcome with_last_step(TrainerOutcome outcome, const TrainingPlan& plan, const std::filesystem::path& out) {
  if (outcome.state.step > plan.first_step) return outcome;
  RecordedStep last = recorded_step(out, outcome.state.step);
  outcome.loss = last.loss;
  if (!outcome.evaluation) outcome.evaluation = std::move(last.evaluation);
  return outcome;
}

TrainingResult run(const TrainingRequest& request, Collective& group, const TrainingObserver& observer,
                   const StopFlag& stop) {
  PreparedRun prepared = prepare_run(request, group, observer.notes);
  TrainingResult result{prepared.plan, {}, prepared.plan.resumed_from};
  if (auto finished = finished_outcome(request, prepared, group)) {
    result.outcome = *std::move(finished);
    prepared.steps->stop();  // before the ranks part: planning exchanges texts between them
    if (group.rank() == 0) {
      // The page is written last: a kill may have come before it.
      if (!is_file(request.out / kTrainingPageFile)) leave_page(request.out, observer.notes);
      observer.notes.tell(cat(request.out.string(), ": the run is finished after ",
                              counted(result.outcome.state.step, "step"), "; its files stay as they are"));
    }
    group.finish();
    return result;
  }
  const TrainerOptions options = trainer_options(request, prepared.schedule);
  TrainingSession session = open_session(request, std::move(prepared), group);
  std::unique_ptr<RunRecords> records;
  if (group.rank() == 0) records = std::make_unique<RunRecords>(request, session, result.plan);
  if (observer.on_begin) observer.on_begin(result.plan);
  {
    TrainPass pass(*session.tunable, result.plan.checkpointing, session.distillation.get(), request.deterministic);
    Trainer trainer(*session.tunable, pass, *session.source, *session.optimizer, group, options,
                    trainer_hooks(request, session, records.get(), result.checkpoint, group, observer, stop),
                    session.start);
    result.outcome = with_last_step(trainer.run(), result.plan, request.out);
  }
  if (observer.on_trained) observer.on_trained(result.outcome);
  session.optimizer->return_values();
  if (records) {
    if (result.outcome.stop_reason == 0) {
      write_outcome(request.out, *session.tunable, session.checkpoint, request.model_out);
      run_history(request, session, result.plan, result.outcome.state).write(request.out);
    }
    records->finish(result.outcome);
    leave_page(request.out, observer.notes);
  }
  group.finish();
  return result;
}

}  // namespace

TrainingResult run_training(const TrainingRequest& request, const Ranks& ranks, const TrainingObserver& observer,
                            const StopFlag& stop) {
  check_request(request);
  return run_training(request, *join_ranks(ranks, request.placement.device, observer.notes), observer, stop);
}

TrainingResult run_training(const TrainingRequest& request, Collective& group, const TrainingObserver& observer,
                            const StopFlag& stop) {
  check_request(request);
  try {
    std::optional<RunFolder> folder;
    if (group.rank() == 0) folder.emplace(request.out, request.resume, observer.notes);
    group.barrier();  // the folder is there for every rank
    return run(request, group, observer, stop);
  } catch (const std::exception& error) {
    group.report_failure(explain(error).what());
    throw;
  }
}

}  // namespace striate

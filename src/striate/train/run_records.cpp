#include "striate/train/run_records.h"

#include <ctime>
#include <utility>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_base.h"
#include "striate/model/picture_settings.h"
#include "striate/tensor/machine.h"
#include "striate/train/run_settings.h"
#include "striate/version.h"

namespace striate {
namespace {

constexpr const char* kRunFile = "run.json";

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

std::string folder_text(const Checkpoint& checkpoint) {
  return full_path(checkpoint.folder).string();
}

nlohmann::json teacher_json(const TrainingSession& session, const TrainingPlan& plan) {
  if (!session.teacher_checkpoint) return nullptr;
  return {{"folder", folder_text(*session.teacher_checkpoint)}, {"bytes", plan.teacher_bytes}};
}

nlohmann::json record_of(const TrainingRequest& request, const TrainingSession& session, const TrainingPlan& plan) {
  const Placement& placement = request.placement;
  return {{"command", request.command},
          {"version", STRIATE_VERSION},
          {"arguments", request.arguments},
          {"settings", session.start.settings},
          {"hardware", hardware_description(placement.device.str(), compute_name(placement.compute), plan.ranks)},
          {"model", {{"family", plan.model}, {"folder", folder_text(session.checkpoint)}}},
          {"region", plan.layers.record()},
          {"trained_parameters", plan.parameters},
          {"teacher", teacher_json(session, plan)},
          {"steps", plan.steps},
          {"started", now_text()},
          {"resumed_from_step", plan.first_step},
          {"result", nullptr}};
}

nlohmann::json result_json(const TrainerOutcome& outcome) {
  nlohmann::json json = {{"steps", outcome.state.step},
                         {"skipped_steps", outcome.state.skipped_steps},
                         {"samples", outcome.state.samples},
                         {"tokens", outcome.state.tokens},
                         {"targets", outcome.state.targets},
                         {"bad_samples", outcome.state.data.bad_samples},
                         {"truncated_samples", outcome.state.data.truncated_samples},
                         {"loss", outcome.loss},
                         {"seconds", outcome.seconds},
                         {"done", outcome.stop_reason == 0},
                         {"ended", now_text()}};
  if (outcome.evaluation) {
    const EvaluationMetrics& e = *outcome.evaluation;
    if (e.benchmark) {
      json["evaluation"] = {{"benchmark", e.benchmark->benchmark},  {"protocol", e.benchmark->protocol},
                            {"metric", e.benchmark->headline.name}, {"score", e.benchmark->headline.value},
                            {"questions", e.benchmark->questions},  {"answered", e.benchmark->answered}};
    } else {
      json["evaluation"] = {{"loss", e.loss}, {"questions", e.questions}, {"exact", e.exact}};
    }
  }
  return json;
}

}  // namespace

RunRecords::RunRecords(const TrainingRequest& request, const TrainingSession& session, const TrainingPlan& plan)
    : folder_(request.out),
      record_(record_of(request, session, plan)),
      metrics_(request.out, plan.resumed_from.empty() ? -1 : plan.first_step, session.start.owes_evaluation) {
  if (request.tensorboard) events_.emplace(request.out, plan.first_step > 0 ? plan.first_step + 1 : 0);
  write();
}

void RunRecords::write() {
  write_file(OutputPath::inside(folder_, kRunFile), record_.dump(2) + "\n");
}

void RunRecords::add(const StepMetrics& m) {
  metrics_.append(to_json_line(m));
  if (!events_) return;
  std::vector<std::pair<std::string, double>> scalars = {
      {"train/loss", m.loss}, {"train/grad_norm", m.gradient_norm}, {"train/epoch", m.epoch}};
  if (m.terms) {
    scalars.insert(scalars.end(),
                   {{"train/ce", m.terms->ce}, {"train/hidden", m.terms->hidden}, {"train/kl", m.terms->kl}});
  }
  for (const auto& [group, rate] : m.rates) scalars.emplace_back("lr/" + group, rate);
  if (m.seconds > 0) scalars.emplace_back("speed/tokens_per_s", static_cast<double>(m.tokens) / m.seconds);
  events_->add_scalars(m.step, scalars);
}

void RunRecords::add(const EvaluationMetrics& m) {
  metrics_.append(to_json_line(m));
  if (!events_) return;
  if (m.benchmark) {
    events_->add_scalars(m.step, {{cat("eval/", m.benchmark->benchmark), m.benchmark->headline.value}});
    return;
  }
  std::vector<std::pair<std::string, double>> scalars = {{"eval/loss", m.loss}};
  if (m.questions > 0) {
    scalars.emplace_back("eval/accuracy", static_cast<double>(m.exact) / static_cast<double>(m.questions));
  }
  events_->add_scalars(m.step, scalars);
}

void RunRecords::finish(const TrainerOutcome& outcome) {
  record_["result"] = result_json(outcome);
  write();
}

std::optional<TrainerOutcome> recorded_outcome(const std::filesystem::path& folder, OutcomeKind kind,
                                               const RunState& state) {
  if (!is_file(folder / kRunFile) || !holds_outcome(folder, kind)) return std::nullopt;
  const auto record = try_parse_json(read_file(folder / kRunFile), kHistoryJson);
  if (!record || !record->is_object() || !record->contains("result")) return std::nullopt;
  const nlohmann::json& result = record->at("result");
  const auto says = [&result](const char* key, const nlohmann::json& value) {
    return result.is_object() && result.contains(key) && result.at(key) == value;
  };
  if (!says("done", true) || !says("steps", state.step)) return std::nullopt;
  RecordedStep last = recorded_step(folder, state.step);
  TrainerOutcome outcome;
  outcome.state = state;
  outcome.loss = last.loss;
  outcome.evaluation = std::move(last.evaluation);
  if (result.contains("seconds") && result.at("seconds").is_number()) outcome.seconds = result.at("seconds");
  return outcome;
}

ModelRecord run_history(const TrainingRequest& request, const TrainingSession& session, const TrainingPlan& plan,
                        const RunState& state) {
  const Checkpoint& base = session.checkpoint;
  TrainingRecord training;
  training.stage = stage_name(request.tune.stage);
  if (request.tune.stage == Stage::kTune) {
    training.tune = request.projector_alone ? "projector" : kind_name(request.tune.kind);
  }
  training.seed = request.tune.seed;
  training.steps = state.step;
  training.settings = state.settings;
  if (session.teacher_checkpoint) training.teacher = folder_text(*session.teacher_checkpoint);
  ModelRecord record;
  record.set_made_by("striate " + request.command, STRIATE_VERSION);
  record.set_base(base.folder);
  record.set_training(training);
  record.set_region(plan.layers);
  if (const auto pad = base.config.padding_asked) record.set_pads(*pad);
  if (training.tune == "lora") record.set_base_weights(base_weights(base));
  if (const auto before = ModelRecord::find(base.folder)) record.set_base_record(*before);
  return record;
}

}  // namespace striate

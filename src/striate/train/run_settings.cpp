#include "striate/train/run_settings.h"

#include <cmath>
#include <memory>
#include <span>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/data/counted_steps.h"
#include "striate/data/data_files.h"
#include "striate/model/adapter_file.h"
#include "striate/model/fingerprint.h"
#include "striate/model/picture_settings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kDigits = 16;  // of a hash, in settings that people read

// A model is its weights, not its name.
std::string model_identity(const Checkpoint& checkpoint) {
  return "weights " + weights_fingerprint(checkpoint).substr(0, kDigits);
}

std::string adapter_identity(const fs::path& folder) {
  return "weights " + adapter_fingerprint(AdapterFile(folder)).substr(0, kDigits);
}

// A tokenizer is what it makes of text: its vocabulary, the order of its merges, and for what it does to a text
// besides, the tokens of an example.
std::string tokenizer_identity(const Tokenizer& tokenizer) {
  const VocabularyListing vocabulary = tokenizer.vocabulary();
  Sha256 hash;
  const auto add = [&hash](const std::string& text) {
    hash.add(std::as_bytes(std::span(text.data(), text.size() + 1)));  // the zero at its end parts it from the next
  };
  for (const ListedToken& token : vocabulary.tokens) {
    add(token.text);
    add(cat(static_cast<int>(token.kind), " ", token.score));
  }
  for (const std::string& merge : vocabulary.merges) add(merge);
  for (const std::string& pattern : vocabulary.split_patterns) add(pattern);
  add(cat(vocabulary.byte_level, " ", vocabulary.unk_id.value_or(-1), " ", tokenizer.bos_id().value_or(-1), " ",
          tokenizer.eos_id().value_or(-1), " ", tokenizer.adds_bos()));
  constexpr const char* kExample = "  A cat, 12345 na\u00efve caf\u00e9s;\n\tTwo \u732b? ";
  for (const std::int64_t id : tokenizer.encode(kExample, {.add_bos = true, .parse_special = true}))
    add(std::to_string(id));
  return cat(vocabulary.tokens.size(), " tokens, SHA-256 ", hash.finish().substr(0, kDigits));
}

// A data set is every byte of its files.
std::string data_identity(const fs::path& file) {
  return cat(file.filename().string(), ", SHA-256 ", data_hash(file).substr(0, kDigits));
}

// Whether the number of steps follows from the lengths of the samples.
bool counts_tokens(const TrainingRequest& r) {
  return !r.steps && r.data.batch == 0;
}

// The steps that a run counted when it began, and need not count again; nullopt: it has to. That data, tokenizer and
// tokens per step are the same is checked later.
std::optional<std::int64_t> counted_before(const TrainingRequest& r, const std::optional<FoundCheckpoint>& found) {
  if (!found || !counts_tokens(r)) return std::nullopt;
  const nlohmann::json& begun = found->state.settings;
  const nlohmann::json epochs = begun.value("epochs", nlohmann::json()), steps = begun.value("steps", nlohmann::json());
  if (epochs != nlohmann::json(r.epochs) || !steps.is_number_integer()) return std::nullopt;
  return steps.get<std::int64_t>();
}

}  // namespace

std::string stage_name(Stage stage) {
  return stage == Stage::kAlign ? "align" : stage == Stage::kTune ? "tune" : "pretrain";
}

std::string kind_name(TuneKind kind) {
  return kind == TuneKind::kLora ? "lora" : "full";
}

void check_request(const TrainingRequest& r) {
  if (r.model.adapter) {
    throw invalid_input("`adapter` does not apply: training starts from a model without an adapter",
                        "merge the adapter into the model first, or train a new one from the base");
  }
  if (r.data.data.empty()) throw invalid_input("no data was given", "give the LLaVA JSON to train on: `data` FILE");
  if (r.tune.stage == Stage::kTune && r.layers.empty() && !r.projector_alone) {
    throw invalid_input("no `layers` were given",
                        "give the layers that training may change: a quarter as in the paper with `layers` "
                        "uniform:25%, or every layer with `layers` all");
  }
  if (r.tune.stage != Stage::kTune && !r.layers.empty()) {
    throw invalid_input(cat("`layers` does not apply to `stage` ", stage_name(r.tune.stage)),
                        r.tune.stage == Stage::kAlign ? "leave out `layers`: this stage trains only the projector"
                                                      : "leave out `layers`: this stage trains the whole decoder");
  }
  if (r.steps && *r.steps < 1) throw invalid_input(cat("`steps` ", *r.steps, " is less than 1"), "give 1 or more");
  if (!(r.epochs > 0)) throw invalid_input(cat("`epochs` ", r.epochs, " is not above 0"), "give a number above 0");
  if (!(r.warmup_ratio >= 0 && r.warmup_ratio <= 1)) {
    throw invalid_input(cat("`warmup_ratio` ", r.warmup_ratio, " is not from 0 to 1"),
                        "give a share of the run, from 0 to 1");
  }
  for (const double rate : {r.rates.projector, r.rates.adapter, r.rates.decoder, r.rates.vision_tower}) {
    if (!(rate >= 0) || std::isinf(rate))
      throw invalid_input(cat("the learning rate ", rate, " is not a finite number from 0 up"), "give 0 or more");
  }
}

std::int64_t total_steps(const TrainingRequest& r, PreparedRun& run, Collective& ranks, const Notes& notes) {
  PlannedSteps& steps = *run.steps;
  const std::optional<std::int64_t> before = counted_before(r, run.found);
  const bool counts = counts_tokens(r) && !before;
  // Ranks that were started with other flags or data would wait for each other: each counts for itself then, and the
  // comparison of their plans tells how they differ.
  const bool together = ranks.agree(cat(counts ? "tokens of " : "nothing of ", steps.samples_per_epoch()));
  if (r.steps || before) return r.steps ? *r.steps : *before;
  if (counts) tell_of_counting(steps.samples_per_epoch(), notes);
  const std::unique_ptr<RankExchange> exchange = counts && together ? ranks.open_exchange("tokens") : nullptr;
  return steps.steps_of(r.epochs, exchange.get());
}

nlohmann::json settings_of(const TrainingRequest& r, const PreparedRun& run) {
  const TuneOptions& tune = run.tune;
  const StepSourceOptions& data = run.steps->options();
  const Schedule& schedule = run.schedule;
  nlohmann::json s = {
      {"model", model_identity(run.checkpoint)},
      {"precision", compute_name(r.placement.compute)},
      {"device", r.placement.device.is_cpu() ? "cpu" : "cuda"},
      {"stage", stage_name(tune.stage)},
      {"freeze-projector", tune.freeze_projector},
      {"tune-vision-tower", tune.tune_vision_tower},
      {"seed", tune.seed},
      {"data", data_identity(data.data)},
      {"tokenizer", tokenizer_identity(*run.tokenizer)},
      {"template", template_name(data.conversation)},
      {"shuffle", data.shuffle},
      {"batch", data.batch},
      {"tokens-per-step", data.tokens_per_step},
      {"tokens-per-stream", data.tokens_per_stream},
      {"max-tokens", data.max_tokens},
      {"on-bad-sample", data.on_bad_sample == OnBadSample::kStop ? "stop" : "skip"},
      {"max-bad-share", data.max_bad_share},
      {"lr", tune.stage == Stage::kTune && tune.kind == TuneKind::kLora ? r.rates.adapter : r.rates.decoder},
      {"projector-lr", r.rates.projector},
      {"vision-tower-lr", r.rates.vision_tower},
      {"schedule", schedule_name(schedule.kind)},
      {"warmup-steps", schedule.warmup_steps},
      {"weight-decay", r.adamw.weight_decay},
      {"beta1", r.adamw.beta1},
      {"beta2", r.adamw.beta2},
      {"adam-eps", r.adamw.epsilon},
      {"max-grad-norm", r.max_gradient_norm}};
  // Absent where nothing is quantised, as in runs of releases that did not know it.
  if (tune.frozen_precision != FrozenPrecision::kStored) {
    s["frozen-precision"] = frozen_precision_name(tune.frozen_precision);
  }
  if (data.fraction < 1) s["data-fraction"] = data.fraction;  // else a run of an earlier version could not go on
  if (run.teacher) {
    s["teacher"] = model_identity(run.teacher->checkpoint);
    s["hidden-weight"] = r.teacher->hidden_weight;
    s["kl-weight"] = r.teacher->kl_weight;
    s["temperature"] = r.teacher->temperature;
    s["hidden-layers"] = r.teacher->hidden_layers;
    if (const auto& adapter = run.teacher->checkpoint.adapter) s["teacher-adapter"] = adapter_identity(*adapter);
  }
  if (!r.deterministic) s["deterministic"] = "off";
  // A constant rate does not look ahead: such a run may be made longer, with the warm-up that it began with.
  if (schedule.kind != ScheduleKind::kConstant) {
    s["steps"] = schedule.total_steps;
    if (counts_tokens(r)) s["epochs"] = r.epochs;
  } else if (!r.warmup_steps) {
    s["warmup-ratio"] = r.warmup_ratio;
  }
  if (data.preprocess) s["image-aspect"] = image_aspect_name(data.preprocess->pad_to_square);
  if (tune.stage == Stage::kTune) {
    s["tune"] = kind_name(tune.kind);
    s["layers"] = tune.layers.list();
    if (tune.kind == TuneKind::kLora) {
      s["lora-r"] = tune.lora.rank;
      s["lora-alpha"] = tune.lora.alpha_value();
      s["lora-dropout"] = tune.lora.dropout;
      s["lora-targets"] = tune.lora.targets;
    }
  }
  return s;
}

}  // namespace striate

#include "apps/striate/train_flags.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/init_model.h"
#include "striate/train/config_file.h"

namespace striate::app {
namespace {

// No part of what a run is: they are not recorded, and a configuration cannot set them.
constexpr std::array<std::string_view, 4> kNotSettings = {"config", "help", "json", "resume"};

bool is_setting(const CLI::Option& option) {
  if (option.get_lnames().empty()) return false;
  const std::string& name = option.get_lnames().front();
  return std::find(kNotSettings.begin(), kNotSettings.end(), name) == kNotSettings.end();
}

std::vector<CLI::Option*> settings_of(CLI::App& command) {
  return command.get_options([](const CLI::Option* option) { return is_setting(*option); });
}

bool names_a_path(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  return type == "DIR" || type == "FILE" || type == "PATH";
}

// Every setting that was given, on the command line or in a configuration. Paths become absolute: run.json may be fed
// back from anywhere.
nlohmann::json arguments_of(const CLI::App& command) {
  nlohmann::json arguments = nlohmann::json::object();
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0 || !is_setting(*option)) continue;
    std::vector<std::string> values = option->reduced_results();
    if (names_a_path(*option)) {
      for (std::string& value : values) value = std::filesystem::absolute(value).lexically_normal().string();
    }
    nlohmann::json& entry = arguments[option->get_lnames().front()];
    if (option->get_items_expected_max() == 0) {
      entry = values.empty() || values.front() != "false";
    } else {
      entry = join(values, ",");
    }
  }
  return arguments;
}

template <typename Value>
Value one_of(const std::string& flag, const std::string& text,
             const std::vector<std::pair<std::string, Value>>& known) {
  std::vector<std::string> names;
  for (const auto& [name, value] : known) {
    if (name == text) return value;
    names.push_back(name);
  }
  const std::string nearest = nearest_name(text, names);
  throw invalid_input(cat(flag, " ", text, ": unknown"),
                      nearest.empty() ? "known: " + join(names, ", ") : cat("did you mean ", nearest, "?"));
}

void add_what_is_trained(CLI::App& c, TrainFlags& f) {
  const std::string group = "What is trained";
  TuneOptions& tune = f.request.tune;
  c.add_option("--stage", f.stage, "align: the projector; tune: projector and layers; pretrain: the whole decoder")
      ->capture_default_str()
      ->group(group);
  c.add_option("--tune", f.tune, "lora: adapters on the layers; full: all their weights")
      ->capture_default_str()
      ->group(group);
  c.add_option("--layers", f.layers, "Which layers training may change: uniform:25%, paper, all, 0,4,8-11, ...")
      ->type_name("SPEC")
      ->group(group);
  c.add_option("--lora-r", tune.lora.rank, "Rank of the adapters")->capture_default_str()->group(group);
  c.add_option("--lora-alpha", tune.lora.alpha, "Adapters count alpha / r times")->capture_default_str()->group(group);
  c.add_option("--lora-dropout", tune.lora.dropout, "Share of the adapters' inputs that is dropped")
      ->capture_default_str()
      ->group(group);
  c.add_option("--lora-targets", f.lora_targets, "Linears that get one, such as q_proj,v_proj; default: every linear")
      ->delimiter(',')
      ->type_name("NAMES")
      ->group(group);
  c.add_flag("--freeze-projector", tune.freeze_projector, "Leave the projector as it is")->group(group);
  c.add_flag("--tune-vision-tower", tune.tune_vision_tower, "Train the vision tower as well")->group(group);
}

void add_data(CLI::App& c, TrainFlags& f) {
  const std::string group = "Data";
  StepSourceOptions& data = f.request.data;
  c.add_option("--data", f.data, "LLaVA JSON or JSON Lines")->type_name("FILE")->group(group);
  c.add_option("--images", f.images, "The folder its pictures are in")->type_name("DIR")->group(group);
  c.add_option("--steps", f.steps, "Optimiser steps of the whole run")->type_name("N")->group(group);
  c.add_option("--epochs", f.epochs, "Passes over the data, instead of --steps; default: 1")
      ->type_name("N")
      ->group(group);
  c.add_option("--batch", f.batch, "Samples per step, over all ranks; default: 128 (256 for align)")
      ->type_name("N")
      ->group(group);
  c.add_option("--tokens-per-step", f.tokens_per_step, "Tokens per step, over all ranks, instead of --batch")
      ->type_name("N")
      ->group(group);
  c.add_option("--tokens-per-stream", data.tokens_per_stream, "Tokens that pass through the model at once, at most")
      ->capture_default_str()
      ->group(group);
  c.add_option("--max-tokens", data.max_tokens, "Longer samples are cut; pictures count their rows")
      ->capture_default_str()
      ->group(group);
  c.add_option("--template", f.conversation, "vicuna_v1, bunny, llama, phi3, plain; default: the model's")
      ->group(group);
  c.add_option("--tokenizer", f.tokenizer, "A tokenizer's folder or file; default: the model's")
      ->type_name("PATH")
      ->group(group);
  c.add_flag("--no-shuffle", f.no_shuffle, "Take the samples in the file's order")->group(group);
  c.add_option("--on-bad-sample", f.on_bad_sample, "stop, or skip and list them in bad_samples.jsonl")
      ->capture_default_str()
      ->group(group);
  c.add_option("--max-bad-share", data.max_bad_share, "Stop when more than this share is bad")
      ->capture_default_str()
      ->group(group);
  c.add_option("--feature-cache", f.feature_cache, "Memory for pictures' features")
      ->capture_default_str()
      ->type_name("SIZE")
      ->group(group);
  c.add_option("--feature-cache-dir", f.feature_cache_folder, "Keep pictures' features on disk as well")
      ->type_name("DIR")
      ->group(group);
  c.add_option("--data-threads", data.threads, "Threads that read, decode and tokenise")
      ->capture_default_str()
      ->group(group);
}

void add_optimiser(CLI::App& c, TrainFlags& f) {
  const std::string group = "Optimiser";
  TrainingRequest& r = f.request;
  c.add_option("--lr", f.lr, "Rate of adapters or decoder; default: 2e-4 (lora), 2e-5 (full), 1e-3 (pretrain)")
      ->type_name("X")
      ->group(group);
  c.add_option("--projector-lr", f.projector_lr, "Rate of the projector; default: 2e-5 (1e-3 for align)")
      ->type_name("X")
      ->group(group);
  c.add_option("--vision-tower-lr", f.vision_tower_lr, "Rate of the vision tower; default: 2e-6")
      ->type_name("X")
      ->group(group);
  c.add_option("--schedule", f.schedule, "cosine, linear or constant")->capture_default_str()->group(group);
  c.add_option("--warmup-ratio", r.warmup_ratio, "Share of the steps in which rates rise")
      ->capture_default_str()
      ->group(group);
  c.add_option("--warmup-steps", f.warmup_steps, "Steps in which rates rise, instead of the share")
      ->type_name("N")
      ->group(group);
  c.add_option("--weight-decay", r.adamw.weight_decay, "AdamW's; not on biases and norms")
      ->capture_default_str()
      ->group(group);
  c.add_option("--beta1", r.adamw.beta1, "AdamW's")->capture_default_str()->group(group);
  c.add_option("--beta2", r.adamw.beta2, "AdamW's")->capture_default_str()->group(group);
  c.add_option("--adam-eps", r.adamw.epsilon, "AdamW's")->capture_default_str()->group(group);
  c.add_option("--max-grad-norm", r.max_gradient_norm, "Larger gradients are scaled down to it; 0: never")
      ->capture_default_str()
      ->group(group);
  c.add_option("--seed", r.tune.seed, "Of the data's order, the adapters' first values and dropout")
      ->capture_default_str()
      ->group(group);
  c.add_option("--recompute", f.recompute, "What the backward pass computes again: keep (nothing), mlp, layer, auto")
      ->capture_default_str()
      ->group(group);
  c.add_option("--memory-budget", f.memory_budget, "Memory that --recompute auto may use; default: what is free")
      ->type_name("SIZE")
      ->group(group);
}

void add_run(CLI::App& c, TrainFlags& f) {
  const std::string group = "Run";
  TrainingRequest& r = f.request;
  c.add_option("--out", f.out, "The folder the run is written to")->type_name("DIR")->group(group);
  c.add_flag("--resume", r.resume, "Go on from the newest whole checkpoint in --out")->group(group);
  c.add_option("--save-every", r.save_every, "Steps between checkpoints; 0: at the end alone")
      ->capture_default_str()
      ->group(group);
  c.add_option("--keep", r.keep, "How many checkpoints stay; 0: all")->capture_default_str()->group(group);
  c.add_option("--skip-bad-steps", r.skip_bad_steps, "Steps that may be skipped for a loss that is not finite")
      ->capture_default_str()
      ->group(group);
  c.add_option("--eval-data", f.eval_data, "Held-out samples: their loss, and exact answers")
      ->type_name("FILE")
      ->group(group);
  c.add_option("--eval-images", f.eval_images, "The folder their pictures are in; default: --images")
      ->type_name("DIR")
      ->group(group);
  c.add_option("--eval-every", r.held_out.every, "Steps between evaluations; 0: at the end alone")
      ->capture_default_str()
      ->group(group);
  c.add_flag("--eval-first", r.held_out.first, "Evaluate before the first step as well")->group(group);
  c.add_option("--eval-samples", r.held_out.samples, "Held-out samples used, the first so many; 0: all")
      ->capture_default_str()
      ->group(group);
  c.add_option("--eval-max-tokens", r.held_out.max_tokens, "Longest answer in them")
      ->capture_default_str()
      ->group(group);
  c.add_flag("--tensorboard", r.tensorboard, "Write TensorBoard event files to OUT/tensorboard")->group(group);
  c.add_option("--save-dtype", f.save_dtype, "Of a whole model that is written: fp32, fp16, bf16; default: the base's")
      ->group(group);
  c.add_option("--max-shard-size", f.max_shard_size, "Largest weight file of a whole model")
      ->capture_default_str()
      ->type_name("SIZE")
      ->group(group);
  c.add_option("--config", f.config, "Flags from a file: TOML, or the run.json of a run")
      ->type_name("FILE")
      ->group(group);
  c.add_flag("--json", f.json, "Print one JSON object at the end and nothing else")->group(group);
}

std::optional<at::ScalarType> parse_save_dtype(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return one_of<at::ScalarType>("--save-dtype", text,
                                {{"fp32", at::kFloat}, {"fp16", at::kHalf}, {"bf16", at::kBFloat16}});
}

// The paper's recipe for tuning; LLaVA's for aligning.
GroupRates rates_of(const TrainFlags& f, Stage stage, TuneKind kind) {
  GroupRates rates;
  rates.adapter = f.lr.value_or(2e-4);
  rates.decoder = f.lr.value_or(stage == Stage::kPretrain ? 1e-3 : 2e-5);
  const bool from_nothing = stage != Stage::kTune;
  rates.projector = f.projector_lr.value_or(from_nothing ? 1e-3 : 2e-5);
  if (stage == Stage::kAlign && f.lr) {
    throw invalid_input("--lr with --stage align: only the projector is trained", "give its rate with --projector-lr");
  }
  rates.vision_tower = f.vision_tower_lr.value_or(2e-6);
  if (kind == TuneKind::kLora && stage == Stage::kTune) rates.decoder = 0;
  return rates;
}

}  // namespace

void TrainFlags::add_to(CLI::App& command) {
  model.add_to(command);
  add_what_is_trained(command, *this);
  add_data(command, *this);
  add_optimiser(command, *this);
  add_run(command, *this);
  compute.add_to(command);
}

void TrainFlags::read_config(CLI::App& command) const {
  if (config.empty()) return;
  std::vector<std::string> known;
  for (const CLI::Option* option : settings_of(command)) known.push_back(option->get_lnames().front());
  for (const ConfigEntry& entry : read_config_file(config, known)) {
    CLI::Option* option = command.get_option("--" + entry.key);
    if (option->count() > 0) continue;  // the command line wins
    try {
      option->add_result(entry.value);
      option->run_callback();
    } catch (const CLI::ParseError& bad) {
      throw invalid_input(cat(entry.where, ": ", entry.key, " = ", entry.value, ": ", bad.what()),
                          "the same values are allowed as on the command line: see --help");
    }
  }
}

TrainingRequest TrainFlags::training_request(const CLI::App& command, const Ranks& ranks) const {
  TrainingRequest r = request;
  r.model = model.paths();
  r.placement = compute.placement(ranks);
  r.tune.stage = one_of<Stage>("--stage", stage,
                               {{"align", Stage::kAlign}, {"tune", Stage::kTune}, {"pretrain", Stage::kPretrain}});
  r.tune.kind = one_of<TuneKind>("--tune", tune, {{"lora", TuneKind::kLora}, {"full", TuneKind::kFull}});
  r.tune.lora.targets = lora_targets;
  r.layers = layers;
  if (!tokenizer.empty()) r.tokenizer = existing_path("--tokenizer", tokenizer);
  if (!conversation.empty()) r.conversation = parse_template(conversation);
  r.data.data = existing_path("--data", data);
  r.data.images = existing_path("--images", images);
  r.data.shuffle = !no_shuffle;
  r.data.on_bad_sample = one_of<OnBadSample>("--on-bad-sample", on_bad_sample,
                                             {{"stop", OnBadSample::kStop}, {"skip", OnBadSample::kSkip}});
  r.data.feature_cache_bytes = static_cast<std::int64_t>(parse_bytes(feature_cache, "--feature-cache"));
  r.data.feature_cache_folder = feature_cache_folder;
  if (steps && epochs) throw invalid_input("--steps and --epochs: which of them?", "give one");
  if (batch && tokens_per_step) throw invalid_input("--batch and --tokens-per-step: which of them?", "give one");
  r.steps = steps;
  r.epochs = epochs.value_or(1);
  constexpr std::int64_t kTuneBatch = 128;
  constexpr std::int64_t kAlignBatch = 256;
  r.data.tokens_per_step = tokens_per_step.value_or(0);
  if (!tokens_per_step) r.data.batch = batch.value_or(r.tune.stage == Stage::kAlign ? kAlignBatch : kTuneBatch);
  r.rates = rates_of(*this, r.tune.stage, r.tune.kind);
  r.schedule = parse_schedule(schedule);
  r.warmup_steps = warmup_steps;
  r.recompute = one_of<Recompute>(
      "--recompute", recompute,
      {{"auto", Recompute::kAuto}, {"keep", Recompute::kKeep}, {"mlp", Recompute::kMlp}, {"layer", Recompute::kLayer}});
  if (!memory_budget.empty()) r.memory_budget = parse_bytes(memory_budget, "--memory-budget");
  if (!eval_data.empty()) r.held_out.data = existing_path("--eval-data", eval_data);
  r.held_out.images = eval_images.empty() ? r.data.images : existing_path("--eval-images", eval_images);
  r.out = out;
  r.model_out.dtype = parse_save_dtype(save_dtype);
  r.model_out.max_shard_bytes = parse_bytes(max_shard_size, "--max-shard-size");
  r.arguments = arguments_of(command);
  r.version = STRIATE_VERSION;
  return r;
}

}  // namespace striate::app

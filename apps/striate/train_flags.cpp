#include "apps/striate/train_flags.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "apps/striate/flag_ranges.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/byte_size.h"
#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/train/config_file.h"
#include "striate/train/recipe.h"

namespace striate::app {
namespace {

// No part of what a run is: they are not recorded, and a configuration cannot set them.
constexpr std::array<std::string_view, 4> kNotSettings = {"config", "help", "json", "resume"};

// Settings of which a run takes one or the other.
constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kEither = {
    {{"steps", "epochs"}, {"batch", "tokens-per-step"}, {"warmup-steps", "warmup-ratio"}}};

// Whether the other one was typed: it takes the place of what a file says.
bool is_displaced(std::string_view key, const TypedFlags& typed) {
  const auto was_typed = [&](std::string_view flag) {
    return std::find(typed.begin(), typed.end(), cat("--", flag)) != typed.end();
  };
  return std::any_of(kEither.begin(), kEither.end(), [&](const auto& either) {
    return (key == either.first && was_typed(either.second)) || (key == either.second && was_typed(either.first));
  });
}

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
      for (std::string& value : values) value = full_path(value).string();
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
  TuneMethod& tune = f.request.tune;
  c.add_option("--stage", f.stage,
               "Training stage: align (the projector), tune (projector and layers) or pretrain (the whole decoder)")
      ->capture_default_str()
      ->group(group);
  c.add_option("--tune", f.tune, "Kind of tuning: lora (adapters on the layers) or full (all weights of the layers)")
      ->capture_default_str()
      ->group(group);
  c.add_option("--layers", f.layers, "Layers that training may change: uniform:25%, paper, all, 0,4,8-11, ...")
      ->type_name("SPEC")
      ->group(group);
  c.add_option("--lora-r", tune.lora.rank, "Rank of the LoRA adapters")
      ->check(whole_number(1, kMostRank))
      ->capture_default_str()
      ->group(group);
  c.add_option("--lora-alpha", tune.lora.alpha, "LoRA alpha; the LoRA scale is alpha / r; default: 2 r")
      ->check(number(0, 1e6))
      ->type_name("X")
      ->group(group);
  c.add_option("--lora-dropout", tune.lora.dropout, "Dropout rate of the adapters' inputs")
      ->check(number(0, 0.999))
      ->capture_default_str()
      ->group(group);
  c.add_option("--lora-targets", f.lora_targets,
               "Linear layers that get an adapter, such as q_proj,v_proj; default: all")
      ->delimiter(',')
      ->type_name("NAMES")
      ->group(group);
  c.add_option("--frozen-precision", f.frozen_precision,
               "Type that layers outside the region are kept in: bf16 (as they are), int8, fp8 or nf4, in which a "
               "model takes less memory")
      ->capture_default_str()
      ->group(group);
  c.add_flag("--freeze-projector", tune.freeze_projector, "Keep the projector unchanged")->group(group);
  c.add_flag("--tune-vision-tower", tune.tune_vision_tower, "Train the vision tower as well")->group(group);
}

void add_data(CLI::App& c, TrainFlags& f) {
  const std::string group = "Data";
  TrainingData& data = f.request.data;
  c.add_option("--data", f.data, "Training data: LLaVA JSON or JSON Lines")->type_name("FILE")->group(group);
  add_images(c, f.images, group);
  c.add_option("--data-fraction", data.fraction,
               "Share of the samples to train on, drawn by --seed; a smaller share is part of a larger one")
      ->check(number(1e-9, 1))
      ->capture_default_str()
      ->group(group);
  c.add_option("--steps", f.steps, "Number of optimiser steps of the whole run")
      ->check(whole_number(1, kMostSteps))
      ->type_name("N")
      ->group(group);
  c.add_option("--epochs", f.epochs, "Passes over the data, instead of --steps; default: 1")
      ->check(number(1e-9, 1e6))
      ->type_name("N")
      ->group(group);
  c.add_option("--batch", f.batch, "Samples per step, over all ranks; default: 128 (256 for align)")
      ->check(whole_number(1, kMostBatch))
      ->type_name("N")
      ->group(group);
  c.add_option("--tokens-per-step", f.tokens_per_step, "Tokens per step, over all ranks, instead of --batch")
      ->check(whole_number(1, std::int64_t{1} << 40))
      ->type_name("N")
      ->group(group);
  add_tokens_per_stream(c, data.tokens_per_stream, 2, group);
  add_max_tokens(c, data.max_tokens, 2, group);
  f.text.add_to(c, group);
  c.add_flag("--no-shuffle", f.no_shuffle, "Take the samples in the file's order")->group(group);
  c.add_option("--on-bad-sample", f.on_bad_sample,
               "Action on a bad sample: stop, or skip and list it in bad_samples.jsonl")
      ->capture_default_str()
      ->group(group);
  c.add_option("--max-bad-share", data.max_bad_share, "Stop when more than this share of the samples is bad")
      ->check(number(0, 1))
      ->capture_default_str()
      ->group(group);
  c.add_option("--feature-cache", f.feature_cache, "Size of the cache of pictures' features in memory")
      ->capture_default_str()
      ->type_name("SIZE")
      ->group(group);
  add_feature_cache_dir(c, f.feature_cache_folder, group);
  add_data_threads(c, data.threads, group);
}

void add_optimiser(CLI::App& c, TrainFlags& f) {
  const std::string group = "Optimiser";
  TrainingRequest& r = f.request;
  c.add_option("--lr", f.lr,
               "Learning rate of the adapters or the decoder; default: 2e-4 (lora), 2e-5 (full), 1e-3 (pretrain)")
      ->check(number(0, 1e30))
      ->type_name("X")
      ->group(group);
  c.add_option("--projector-lr", f.projector_lr, "Learning rate of the projector; default: 2e-5 (1e-3 for align)")
      ->check(number(0, 1e30))
      ->type_name("X")
      ->group(group);
  c.add_option("--vision-tower-lr", f.vision_tower_lr, "Learning rate of the vision tower; default: 2e-6")
      ->check(number(0, 1e30))
      ->type_name("X")
      ->group(group);
  c.add_option("--schedule", f.schedule, "Learning-rate schedule: cosine, linear or constant")
      ->capture_default_str()
      ->group(group);
  c.add_option("--warmup-ratio", r.warmup_ratio, "Length of the warm-up as a share of the steps")
      ->check(number(0, 1))
      ->capture_default_str()
      ->group(group);
  c.add_option("--warmup-steps", f.warmup_steps, "Length of the warm-up in steps, instead of --warmup-ratio")
      ->check(whole_number(0, kMostSteps))
      ->type_name("N")
      ->group(group);
  c.add_option("--weight-decay", r.adamw.weight_decay, "AdamW weight decay; it does not apply to biases and norms")
      ->check(number(0, 1e3))
      ->capture_default_str()
      ->group(group);
  c.add_option("--beta1", r.adamw.beta1, "AdamW beta1")
      ->check(number(0, 0.9999999))
      ->capture_default_str()
      ->group(group);
  c.add_option("--beta2", r.adamw.beta2, "AdamW beta2")
      ->check(number(0, 0.9999999))
      ->capture_default_str()
      ->group(group);
  c.add_option("--adam-eps", r.adamw.epsilon, "AdamW epsilon")
      ->check(number(1e-30, 1))
      ->capture_default_str()
      ->group(group);
  c.add_option("--max-grad-norm", r.max_gradient_norm,
               "Maximum gradient norm; larger gradients are scaled down to it; 0: no maximum")
      ->check(number(0, 1e9))
      ->capture_default_str()
      ->group(group);
  c.add_option("--seed", r.tune.seed, "Seed of the data's order, the adapters' initial values and dropout")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str()
      ->group(group);
}

void add_memory(CLI::App& c, TrainFlags& f) {
  const std::string group = "Optimiser";
  c.add_option("--recompute", f.recompute,
               "Activation checkpointing: keep (recompute nothing), mlp (recompute the MLP), layer (recompute whole "
               "layers) or auto")
      ->capture_default_str()
      ->group(group);
  c.add_option("--memory-budget", f.memory_budget, "Memory that --recompute auto may use; default: the free memory")
      ->type_name("SIZE")
      ->group(group);
}

void add_run(CLI::App& c, TrainFlags& f) {
  const std::string group = "Run";
  TrainingRequest& r = f.request;
  c.add_option("--out", f.out, "Folder for the run's files")->type_name("DIR")->group(group);
  c.add_flag("--resume", r.resume, "Continue from the newest complete checkpoint in --out")->group(group);
  c.add_option("--save-every", r.save_every, "Number of steps between checkpoints; 0: only at the end")
      ->check(whole_number(0, kMostSteps))
      ->capture_default_str()
      ->group(group);
  c.add_option("--keep", r.keep, "Number of checkpoints to keep; 0: all")
      ->check(whole_number(0, kMostSteps))
      ->capture_default_str()
      ->group(group);
  c.add_option("--skip-bad-steps", r.skip_bad_steps,
               "Number of steps that may be skipped because their loss is not finite")
      ->check(whole_number(0, kMostSteps))
      ->capture_default_str()
      ->group(group);
  c.add_flag("--shard-optimizer", r.shard_optimizer,
             "Each of several processes keeps the optimiser's state of a part of the parameters")
      ->group(group);
  c.add_option(
       "--deterministic", f.deterministic,
       "Add up gradients in the same order every time on a GPU, so that a resumed run repeats bit for bit: on or off")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str()
      ->group(group);
  f.held_out.add_to(c, group);
  c.add_option("--eval-every", r.held_out.every, "Number of steps between evaluations; 0: only at the end")
      ->check(whole_number(0, kMostSteps))
      ->capture_default_str()
      ->group(group);
  c.add_flag("--eval-first", r.held_out.first, "Evaluate before the first step as well")->group(group);
  c.add_flag("--tensorboard", r.tensorboard, "Write TensorBoard event files to OUT/tensorboard")->group(group);
  c.add_option("--save-dtype", f.save_dtype,
               "Type of the weights of a whole model that is written: fp32, fp16 or bf16; default: the base's")
      ->group(group);
  c.add_option("--max-shard-size", f.max_shard_size, "Maximum size of a weight file of a whole model")
      ->capture_default_str()
      ->type_name("SIZE")
      ->group(group);
  c.add_option("--config", f.config, "File that sets flags: TOML, or the run.json of a run")
      ->type_name("FILE")
      ->group(group);
  c.add_flag("--json", f.json, "Print one JSON object at the end and nothing else")->group(group);
}

std::optional<at::ScalarType> parse_save_dtype(const std::string& text) {
  if (text.empty()) return std::nullopt;
  return one_of<at::ScalarType>("--save-dtype", text,
                                {{"fp32", at::kFloat}, {"fp16", at::kHalf}, {"bf16", at::kBFloat16}});
}

GroupRates rates_of(const TrainFlags& f, Stage stage, TuneKind kind) {
  GroupRates rates = recipe_rates(stage, kind);
  if (f.lr) rates.adapter = *f.lr;
  if (f.lr && rates.decoder > 0) rates.decoder = *f.lr;
  if (f.projector_lr) rates.projector = *f.projector_lr;
  if (f.vision_tower_lr) rates.vision_tower = *f.vision_tower_lr;
  return rates;
}

}  // namespace

void TrainFlags::add_to(CLI::App& command) {
  model.add_to(command);
  add_what_is_trained(command, *this);
  add_data(command, *this);
  add_optimiser(command, *this);
  add_memory(command, *this);
  add_run(command, *this);
  compute.add_to(command);
}

void TrainFlags::read_config(CLI::App& command) const {
  if (config.empty()) return;
  const TypedFlags typed = typed_flags(command);
  std::vector<std::string> known;
  for (const CLI::Option* option : settings_of(command)) known.push_back(option->get_lnames().front());
  for (const ConfigEntry& entry : read_config_file(config, known)) {
    CLI::Option* option = command.get_option("--" + entry.key);
    if (option->count() > 0 || is_displaced(entry.key, typed)) continue;  // the command line wins
    try {
      option->add_result(entry.value);
      option->run_callback();
    } catch (const CLI::ParseError& bad) {
      throw invalid_input(cat(entry.where, ": ", entry.key, " = ", entry.value, ": ", bad.what()),
                          "the same values are allowed as on the command line: see --help");
    }
  }
}

TuneMethod TrainFlags::tune_method() const {
  TuneMethod options = request.tune;
  options.stage = one_of<Stage>("--stage", stage,
                                {{"align", Stage::kAlign}, {"tune", Stage::kTune}, {"pretrain", Stage::kPretrain}});
  options.kind = one_of<TuneKind>("--tune", tune, {{"lora", TuneKind::kLora}, {"full", TuneKind::kFull}});
  options.lora.targets = lora_targets;
  std::vector<std::pair<std::string, FrozenPrecision>> precisions;
  for (const FrozenPrecision each : kFrozenPrecisions) precisions.emplace_back(frozen_precision_name(each), each);
  options.frozen_precision = one_of("--frozen-precision", frozen_precision, precisions);
  return options;
}

std::int64_t TrainFlags::samples_per_step() const {
  if (batch && tokens_per_step)
    throw invalid_input("--batch and --tokens-per-step exclude each other", "give one of them");
  if (tokens_per_step) return 0;
  return batch.value_or(recipe_batch(tune_method().stage));
}

TrainingData TrainFlags::training_data() const {
  TrainingData d = request.data;
  d.data = existing_path("--data", data);
  d.images = existing_path("--images", images);
  d.shuffle = !no_shuffle;
  d.on_bad_sample = one_of<OnBadSample>("--on-bad-sample", on_bad_sample,
                                        {{"stop", OnBadSample::kStop}, {"skip", OnBadSample::kSkip}});
  d.feature_cache_bytes = static_cast<std::int64_t>(parse_bytes(feature_cache, "--feature-cache"));
  d.feature_cache_folder = feature_cache_folder;
  d.tokens_per_step = tokens_per_step.value_or(0);
  d.batch = samples_per_step();
  return d;
}

std::optional<at::ScalarType> TrainFlags::saved_type() const {
  return parse_save_dtype(save_dtype);
}

TrainingRequest TrainFlags::training_request(const CLI::App& command, const Ranks& ranks) const {
  TrainingRequest r = request;
  r.model = model.paths();
  r.placement = compute.placement(ranks);
  r.tune = tune_method();
  r.layers = layers;
  r.tokenizer = text.tokenizer_asked();
  r.conversation = text.conversation_asked();
  r.data = training_data();
  if (steps && epochs) throw invalid_input("--steps and --epochs exclude each other", "give one of them");
  r.steps = steps;
  r.epochs = epochs.value_or(1);
  r.rates = rates_of(*this, r.tune.stage, r.tune.kind);
  r.schedule = parse_schedule(schedule);
  r.warmup_steps = warmup_steps;
  r.deterministic = deterministic == "on";
  r.checkpointing = one_of<std::optional<ActivationCheckpointing>>("--recompute", recompute,
                                                                   {{"auto", std::nullopt},
                                                                    {"keep", ActivationCheckpointing::kNone},
                                                                    {"mlp", ActivationCheckpointing::kMlp},
                                                                    {"layer", ActivationCheckpointing::kLayer}});
  if (!memory_budget.empty()) r.memory_budget = parse_bytes(memory_budget, "--memory-budget");
  held_out.check();
  r.held_out.benchmark = held_out.benchmark;
  r.held_out.protocol = held_out.protocol;
  r.held_out.data = held_out.data_path();
  r.held_out.images = held_out.images_path(images);
  r.held_out.samples = held_out.samples;
  r.held_out.max_tokens = held_out.max_tokens;
  r.out = out;
  r.model_out.dtype = saved_type();
  r.model_out.max_shard_bytes = parse_bytes(max_shard_size, "--max-shard-size");
  r.arguments = arguments_of(command);
  return r;
}

}  // namespace striate::app

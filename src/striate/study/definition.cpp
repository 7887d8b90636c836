#include "striate/study/definition.h"

#include <algorithm>

#include "striate/answers/benchmark.h"
#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/mini/questions.h"
#include "striate/study/definition_check.h"
#include "striate/study/definition_reader.h"
#include "striate/text/conversation.h"

namespace striate::study {
namespace {

constexpr std::int64_t kMostCount = 1'000'000'000;
constexpr std::int64_t kMostStudySeed = INT64_MAX;
constexpr double kMostRate = 1e6;

const std::vector<std::string> kSenseWords = {"visual", "text"};
const std::vector<std::string> kPlaceWords = {"outside", "inside", "anywhere"};
const std::vector<std::string> kModuleWords = {"all", "attention", "gate-up"};
const std::vector<std::string> kTrainedWords = {"projector", "region", "beside-cuts"};

Removal::Where where_of(const std::string& word) {
  if (word == "outside") return Removal::Where::kOutside;
  return word == "inside" ? Removal::Where::kInside : Removal::Where::kAnywhere;
}

Sense sense_of(const std::string& word) {
  return word == "text" ? Sense::kText : Sense::kVisual;
}

std::vector<std::uint64_t> unsigned_of(const std::vector<std::int64_t>& numbers) {
  return {numbers.begin(), numbers.end()};
}

std::string required(DefinitionReader& reader, const std::string& key) {
  const std::optional<std::string> text = reader.text(key);
  if (text && !text->empty()) return *text;
  throw reader.bad(key, "missing", cat("add ", key, " = \"...\""));
}

// A name in a file's and a folder's name.
std::string required_name(DefinitionReader& reader) {
  const std::string name = required(reader, "name");
  const bool plain = name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
                         std::string::npos &&
                     name.front() != '.' && name.size() <= 60;
  if (!plain) throw reader.bad("name", cat("\"", name, "\" cannot be part of a file's name"), "use a-z, 0-9, - . _");
  return name;
}

ModelDefinition read_model(DefinitionReader& r) {
  ModelDefinition model;
  model.name = required_name(r);
  model.path = r.text("path").value_or("");
  model.llm = r.text("llm").value_or("");
  model.vision_tower = r.text("vision-tower").value_or("");
  model.projector = r.text("projector").value_or("");
  model.conversation = r.text("template").value_or("");
  if (!model.conversation.empty()) parse_template(model.conversation);
  if (model.path.empty() == model.llm.empty()) {
    throw r.bad("path", "a model is either one folder or parts", "give path, or llm, vision-tower and projector");
  }
  if (!model.llm.empty() && (model.vision_tower.empty() || model.projector.empty())) {
    throw r.bad("llm", "parts of the model are missing", "give vision-tower and projector as well");
  }
  return model;
}

WorldDefinition read_world(DefinitionReader& r) {
  WorldDefinition world;
  world.train = r.whole("train", 1, kMostCount).value_or(world.train);
  world.held_out = r.whole("held-out", 0, kMostCount).value_or(world.held_out);
  world.test = r.whole("test", 0, kMostCount).value_or(world.test);
  world.text = r.whole("text", 0, kMostCount).value_or(world.text);
  world.questions = static_cast<int>(r.whole("questions", 1, 1000).value_or(world.questions));
  world.held_out_questions =
      static_cast<int>(r.whole("held-out-questions", 1, 1000).value_or(world.held_out_questions));
  world.seed = static_cast<std::uint64_t>(r.whole("seed", 0, kMostStudySeed).value_or(0));
  world.families = join(r.texts("families").value_or(std::vector<std::string>{world.families}), ",");
  world.text_families = join(r.texts("text-families").value_or(std::vector<std::string>{world.text_families}), ",");
  world.text_family_share = r.number("text-family-share", 0, 1).value_or(world.text_family_share);
  world.grid = static_cast<int>(r.whole("grid", 2, 6).value_or(world.grid));
  world.max_objects = static_cast<int>(r.whole("max-objects", 0, 36).value_or(world.max_objects));
  world.label_share = r.number("labels", 0, 1).value_or(world.label_share);
  world.large_only = r.flag("large-only").value_or(world.large_only);
  world.digit_labels = r.flag("digit-labels").value_or(world.digit_labels);
  mini::parse_families(world.families);
  if (world.text_families != "none") mini::parse_families(world.text_families);
  return world;
}

DataDefinition read_data(DefinitionReader& r) {
  DataDefinition data;
  data.name = required_name(r);
  r.table("mini", [&](DefinitionReader& inner) { data.world = read_world(inner); });
  const std::string inside = cat("{", data.name, "}");
  data.train = r.text("train").value_or(data.world ? inside + "/train.json" : "");
  data.images = r.text("images").value_or(data.world ? inside : "");
  data.align = r.text("align").value_or(data.world ? inside + "/align.json" : "");
  data.align_images = r.text("align-images").value_or(data.images);
  if (data.train.empty()) throw r.bad("train", "missing", "give the samples to tune on, or render some with mini");
  return data;
}

LossDefinition read_loss(DefinitionReader& r) {
  LossDefinition loss;
  loss.name = required_name(r);
  loss.sense = sense_of(r.word("sense", kSenseWords).value_or("visual"));
  loss.data = required(r, "data");
  loss.images = r.text("images").value_or("");
  loss.samples = r.whole("samples", 0, kMostCount).value_or(0);
  return loss;
}

BenchmarkDefinition read_benchmark(DefinitionReader& r) {
  BenchmarkDefinition benchmark;
  benchmark.benchmark = required(r, "benchmark");
  try {
    const Benchmark& found = find_benchmark(benchmark.benchmark);
    benchmark.protocol = r.text("protocol").value_or("");
    const Protocol& protocol =
        benchmark.protocol.empty() ? found.protocols.front() : find_protocol(found, benchmark.protocol);
    if (protocol.kind == AnswerKind::kRolling || protocol.lower_is_better) {
      throw unsupported(cat("\"", benchmark.benchmark, "\" has no answers that are right or wrong"),
                        "measure the loss on such texts with a table [[loss]]");
    }
  } catch (const Error& error) {
    throw invalid_input(cat(r.where("benchmark"), ": ", error.what()), error.hint());
  }
  benchmark.name = r.has("name") ? required_name(r) : benchmark.benchmark;
  benchmark.data = required(r, "data");
  benchmark.images = r.text("images").value_or("");
  benchmark.sense = sense_of(r.word("sense", kSenseWords).value_or("visual"));
  benchmark.limit = r.whole("limit", 0, kMostCount).value_or(0);
  benchmark.validation = r.flag("validation").value_or(false);
  return benchmark;
}

Recipe read_recipe(DefinitionReader& r) {
  Recipe recipe;
  recipe.epochs = r.number("epochs", 1e-9, kMostRate);
  recipe.steps = r.whole("steps", 1, kMostCount);
  recipe.batch = r.whole("batch", 1, 1 << 20);
  recipe.tokens_per_step = r.whole("tokens-per-step", 2, std::int64_t{1} << 40);
  recipe.learning_rate = r.number("lr", 0, kMostRate);
  recipe.projector_rate = r.number("projector-lr", 0, kMostRate);
  recipe.warmup_ratio = r.number("warmup-ratio", 0, 1);
  recipe.schedule = r.word("schedule", {"cosine", "linear", "constant"}).value_or("cosine");
  recipe.weight_decay = r.number("weight-decay", 0, 1e3);
  recipe.beta2 = r.number("beta2", 0, 0.9999999);
  recipe.conversation = r.text("template").value_or("");
  if (!recipe.conversation.empty()) parse_template(recipe.conversation);
  recipe.max_gradient_norm = r.number("max-grad-norm", 0, 1e9);
  recipe.lora_rank = r.whole("lora-r", 1, 1 << 16);
  recipe.lora_alpha = r.number("lora-alpha", 1e-9, kMostRate);
  recipe.lora_dropout = r.number("lora-dropout", 0, 0.999);
  recipe.tokens_per_stream = r.whole("tokens-per-stream", 2, 1 << 22);
  recipe.max_tokens = r.whole("max-tokens", 2, 1 << 22);
  recipe.save_every = r.whole("save-every", 0, kMostCount).value_or(recipe.save_every);
  if (recipe.steps && recipe.epochs) throw r.bad("epochs", "steps are given as well", "give one of them");
  if (recipe.batch && recipe.tokens_per_step) {
    throw r.bad("tokens-per-step", "batch is given as well", "give one of them");
  }
  return recipe;
}

Grid read_grid(DefinitionReader& r) {
  Grid grid;
  grid.line = r.line();
  grid.strategies = r.texts("strategy").value_or(std::vector<std::string>());
  if (grid.strategies.empty()) throw r.bad("strategy", "missing", "add strategy = [\"uniform\", \"top\", \"all\"]");
  grid.sizes = r.texts("size").value_or(grid.sizes);
  grid.modules = r.words("modules", kModuleWords).value_or(grid.modules);
  grid.offsets = r.wholes("offset", 0, kMostCount).value_or(grid.offsets);
  grid.draws = r.whole("draws", 1, 1000).value_or(grid.draws);
  grid.fractions = r.numbers("data-fraction", 1e-6, 1).value_or(grid.fractions);
  grid.rates = r.numbers("learning-rate", 0, kMostRate).value_or(grid.rates);
  grid.seeds = unsigned_of(r.wholes("seed", 0, kMostStudySeed).value_or(std::vector<std::int64_t>{234}));
  grid.models = r.texts("model").value_or(grid.models);
  grid.data = r.texts("data").value_or(grid.data);
  return grid;
}

Selection read_selection(DefinitionReader& r) {
  Selection of;
  of.strategies = r.texts("strategy").value_or(of.strategies);
  of.sizes = r.texts("size").value_or(of.sizes);
  of.modules = r.words("modules", kModuleWords).value_or(of.modules);
  of.offsets = r.wholes("offset", 0, kMostCount).value_or(of.offsets);
  of.draws = r.wholes("draw", 1, 1000).value_or(of.draws);
  of.fractions = r.numbers("data-fraction", 1e-6, 1).value_or(of.fractions);
  of.seeds = unsigned_of(r.wholes("seed", 0, kMostStudySeed).value_or(std::vector<std::int64_t>()));
  of.models = r.texts("model").value_or(of.models);
  of.data = r.texts("data").value_or(of.data);
  return of;
}

ScoreStage read_score_stage(DefinitionReader& r) {
  ScoreStage stage;
  stage.of = read_selection(r);
  stage.samples = r.whole("samples", 1, kMostCount).value_or(stage.samples);
  stage.tuned = r.flag("tuned").value_or(stage.tuned);
  return stage;
}

RevertStage read_revert(DefinitionReader& r) {
  RevertStage stage;
  stage.of = read_selection(r);
  stage.layers = r.texts("layers").value_or(stage.layers);
  if (stage.layers.empty()) throw r.bad("layers", "missing", "add layers = [\"bottom:25%\", \"top:25%\"]");
  return stage;
}

PruneStage read_prune(DefinitionReader& r) {
  PruneStage stage;
  stage.of = read_selection(r);
  stage.most = r.whole("remove", 0, 1000).value_or(stage.most);
  if (const auto where = r.words("where", kPlaceWords)) {
    stage.where.clear();
    for (const std::string& word : *where) stage.where.push_back(where_of(word));
  }
  stage.metrics = r.texts("metric").value_or(stage.metrics);
  stage.spaced = r.flags("spaced").value_or(stage.spaced);
  stage.samples = r.whole("samples", 1, kMostCount).value_or(stage.samples);
  return stage;
}

HealStage read_heal(DefinitionReader& r) {
  HealStage stage;
  stage.of = read_selection(r);
  stage.remove = r.wholes("remove", 1, 1000).value_or(stage.remove);
  if (stage.remove.empty()) throw r.bad("remove", "missing", "say how many layers are gone: remove = [4]");
  stage.where = where_of(r.word("where", kPlaceWords).value_or("outside"));
  stage.metric = r.text("metric").value_or(stage.metric);
  stage.spaced = r.flag("spaced").value_or(stage.spaced);
  stage.samples = r.whole("samples", 1, kMostCount).value_or(stage.samples);
  stage.trained = r.words("train", kTrainedWords).value_or(stage.trained);
  r.table("recipe", [&](DefinitionReader& inner) { stage.recipe = read_recipe(inner); });
  return stage;
}

RateChoice read_choice(DefinitionReader& r) {
  RateChoice choice;
  choice.rates = r.numbers("learning-rates", 0, kMostRate).value_or(choice.rates);
  if (choice.rates.size() < 2) throw r.bad("learning-rates", "fewer than two", "learning-rates = [1e-4, 2e-4, 4e-4]");
  const std::optional<std::int64_t> seed = r.whole("chosen-on-seed", 0, kMostStudySeed);
  if (!seed) throw r.bad("chosen-on-seed", "missing", "give a seed that no grid has");
  choice.seed = static_cast<std::uint64_t>(*seed);
  choice.by_loss = r.word("choose", {"visual", "visual-loss"}).value_or("visual") == "visual-loss";
  return choice;
}

void read_stages(DefinitionReader& r, StudyDefinition& study) {
  r.table("align", [&](DefinitionReader& t) {
    study.align = read_recipe(t);
    if (study.align->learning_rate) {
      throw t.bad("lr", "does not apply: aligning trains the projector alone", "write projector-lr instead");
    }
    if (const auto seed = t.whole("seed", 0, kMostStudySeed)) study.align_seed = static_cast<std::uint64_t>(*seed);
  });
  r.table("tune", [&](DefinitionReader& t) {
    study.tune = read_recipe(t);
    study.full = t.word("tune", {"lora", "full"}).value_or("lora") == "full";
    if (t.has("learning-rates")) study.choice = read_choice(t);
  });
  r.tables("grid", [&](DefinitionReader& t) { study.grids.push_back(read_grid(t)); });
  r.table("score", [&](DefinitionReader& t) { study.score = read_score_stage(t); });
  r.table("revert", [&](DefinitionReader& t) { study.revert = read_revert(t); });
  r.table("prune", [&](DefinitionReader& t) { study.prune = read_prune(t); });
  r.table("heal", [&](DefinitionReader& t) { study.heal = read_heal(t); });
}

}  // namespace

StudyDefinition read_definition(const std::filesystem::path& file, const std::filesystem::path& folder) {
  const TomlTable entries = read_toml_file(file);
  StudyDefinition study;
  study.file = file;
  study.folder = full_path(folder.empty() ? folder_of(file) : folder);
  DefinitionReader r(entries, file.string(), "");
  study.name = required_name(r);
  study.description = r.text("description").value_or("");
  study.reference = r.word("reference", {"paper"}).value_or("");
  r.table("compute", [&](DefinitionReader& t) {
    study.device = t.word("device", {"auto", "cpu", "cuda"}).value_or(study.device);
    study.precision = t.word("precision", {"auto", "fp32", "bf16"}).value_or(study.precision);
    study.threads = static_cast<int>(t.whole("threads", 1, 1024).value_or(study.threads));
    study.cache_features = t.flag("cache-features").value_or(study.cache_features);
  });
  r.tables("model", [&](DefinitionReader& t) { study.models.push_back(read_model(t)); });
  r.tables("data", [&](DefinitionReader& t) { study.data.push_back(read_data(t)); });
  r.tables("loss", [&](DefinitionReader& t) { study.losses.push_back(read_loss(t)); });
  r.tables("benchmark", [&](DefinitionReader& t) { study.benchmarks.push_back(read_benchmark(t)); });
  read_stages(r, study);
  r.finish();
  check_definition(study);
  return study;
}

}  // namespace striate::study

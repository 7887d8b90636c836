// What a study is: models, data, axes and stages, as its TOML file says. docs/study.md describes every key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/study/results.h"

namespace striate::study {

// Paths are as written: relative to the definition's folder, or "{NAME}/..." inside the world that data NAME renders.
struct ModelDefinition {
  std::string name;
  std::string path, llm, vision_tower, projector;  // as flags of striate train
  std::string conversation;                        // its template; empty: the model's own
};

// A miniature world that the study renders for itself (mini/dataset.h).
struct WorldDefinition {
  std::int64_t train = 2000, held_out = 300, test = 0, text = 0;
  int questions = 4, held_out_questions = 2;
  std::uint64_t seed = 0;
  std::string families = "visual", text_families = "text";
  double text_family_share = 0.25;
  int grid = 4, max_objects = 4;
  double label_share = 0.85;
  bool large_only = false, digit_labels = false;
};

struct DataDefinition {
  std::string name;
  std::string train, images;        // what models are tuned on
  std::string align, align_images;  // what projectors are aligned on; empty: none are
  std::optional<WorldDefinition> world;
};

struct LossDefinition {
  std::string name;
  Sense sense = Sense::kVisual;
  std::string data, images;
  std::int64_t samples = 0;  // the first so many; 0: all
};

struct BenchmarkDefinition {
  std::string name;       // in this study
  std::string benchmark;  // of answers/benchmark.h
  std::string protocol;   // empty: the benchmark's first
  std::string data, images;
  Sense sense = Sense::kVisual;
  std::int64_t limit = 0;   // the first so many questions; 0: all
  bool validation = false;  // asked to choose learning rates, and not reported
};

// How a stage trains; what is absent is striate train's default.
struct Recipe {
  std::optional<double> epochs, learning_rate, projector_rate, warmup_ratio, weight_decay, beta2, max_gradient_norm;
  std::optional<std::int64_t> steps, batch, tokens_per_step, lora_rank, tokens_per_stream, max_tokens;
  std::optional<double> lora_alpha, lora_dropout;
  std::string schedule, conversation;  // empty: the default
  std::int64_t save_every = 100;
};

// Learning rates that a first round tries for every strategy, on a seed of its own.
struct RateChoice {
  std::vector<double> rates;
  std::uint64_t seed = 0;
  bool by_loss = false;  // the lowest visual held-out loss instead of the highest visual score
};

// Every combination of its values is a tuning. Of an empty list `models` and `data` mean all of the study.
struct Grid {
  std::vector<std::string> strategies, sizes = {"25%"}, modules = {"all"}, models, data;
  std::vector<std::int64_t> offsets = {0};
  std::int64_t draws = 1;  // of strategy random
  std::vector<double> fractions = {1};
  std::vector<double> rates;  // empty: the chosen one, or the recipe's
  std::vector<std::uint64_t> seeds;
  std::int64_t line = 0;
};

// Which tunings a later stage goes on from; an empty list: any.
struct Selection {
  std::vector<std::string> strategies, sizes, modules, models, data;
  std::vector<std::int64_t> offsets, draws;
  std::vector<double> fractions;
  std::vector<std::uint64_t> seeds;
};

struct ScoreStage {
  std::int64_t samples = 64;
  bool tuned = false;  // models after tuning as well, and what tuning changed
  Selection of;
};

struct RevertStage {
  Selection of;
  std::vector<std::string> layers;  // layer sets that go back, one model each
};

struct PruneStage {
  Selection of;
  std::int64_t most = 4;  // layers removed: 0 to so many
  std::vector<Removal::Where> where = {Removal::Where::kOutside};
  std::vector<std::string> metrics = {"angular"};
  std::vector<bool> spaced = {false};
  std::int64_t samples = 64;  // that scores are measured on
};

struct HealStage {
  Selection of;
  std::vector<std::int64_t> remove;
  Removal::Where where = Removal::Where::kOutside;
  std::string metric = "angular";
  bool spaced = false;
  std::int64_t samples = 64;
  std::vector<std::string> trained = {"projector", "region", "beside-cuts"};
  Recipe recipe;
};

struct StudyDefinition {
  std::filesystem::path file, folder;  // its text's file, and the folder that paths in it are relative to
  std::string name, description, reference;
  std::string device = "auto", precision = "auto";
  int threads = 1;             // of a cell on a CPU
  bool cache_features = true;  // of pictures, on the disk for all cells; otherwise each cell runs the vision tower
  std::vector<ModelDefinition> models;
  std::vector<DataDefinition> data;
  std::vector<LossDefinition> losses;
  std::vector<BenchmarkDefinition> benchmarks;
  std::optional<Recipe> align;
  std::optional<std::uint64_t> align_seed;  // one aligned projector for all seeds; absent: each seed has its own
  Recipe tune;
  bool full = false;  // all weights of the region are tuned instead of adapters
  std::optional<RateChoice> choice;
  std::vector<Grid> grids;
  std::optional<ScoreStage> score;
  std::optional<RevertStage> revert;
  std::optional<PruneStage> prune;
  std::optional<HealStage> heal;
};

// Reads a definition; paths in it are relative to `folder`, or where that is empty to the file's own. Models, data and
// benchmarks are not looked at. Throws InvalidInput (absent, an unknown key with the nearest known one, a value that is
// of another kind or out of range, a name used twice or not defined) and CorruptData (not TOML), with file and line.
StudyDefinition read_definition(const std::filesystem::path& file, const std::filesystem::path& folder = {});

}  // namespace striate::study

// What a study has measured so far: one record for each model, with the score of every question. Finished cells are
// collected into it; statistics, claims, tables and the report read nothing else.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace striate::study {

inline constexpr double kNotMeasured = std::numeric_limits<double>::quiet_NaN();

// What a benchmark or a held-out loss is about.
enum class Sense { kVisual, kText };

// One question of a benchmark: the same for every model.
struct AskedQuestion {
  std::string id;         // unique within the benchmark
  std::string kind;       // "color", "facts", ...; empty where the benchmark has no kinds
  std::string text;       // what was asked, without the picture's mark
  std::string reference;  // the right answer, for people
  std::string picture;    // path of its picture, from the root or from the study's folder; empty: no file
  std::string together;   // questions that have the same text here are not independent of each other; empty: none is
};

struct StudiedBenchmark {
  std::string name;      // as the study calls it, unique in the study
  std::string protocol;  // whose rules scored it
  Sense sense = Sense::kVisual;
  std::string unit = "%";  // of the protocol's score
  std::vector<AskedQuestion> questions{};
};

// What one model answered to one benchmark.
struct BenchmarkAnswers {
  double score = 0;                    // by the protocol, in its unit; NaN: it has none for these answers
  std::vector<double> questions{};     // each question's score, 0 to 1, in the order of StudiedBenchmark::questions
  std::vector<std::string> answers{};  // what the model wrote, in the same order
};

struct HeldOutLoss {
  Sense sense = Sense::kVisual;
  double loss = 0;  // mean negative log-likelihood of the answers' tokens, in nats
};

// Where a tuned model stands on the axes of the study.
struct Tuning {
  std::string strategy;              // the rule without its size: "uniform", "top", "random", "all", "score:bi", ...
  std::string layers_text;           // the specification as it was resolved: "uniform:4@2"
  std::vector<std::int64_t> layers;  // ascending, from 0
  std::string modules;               // "all", "attention" or "gate-up"
  std::int64_t offset = 0;           // of the grid
  std::int64_t draw = 0;             // which of the random draws
  double data_fraction = 1;          // of the training samples
  double learning_rate = 0;          // of the adapters
  std::uint64_t seed = 0;
  bool trial = false;  // one of the runs that a learning rate was chosen by: shown, and counted in no statistic
};

// Layers taken out of a model.
struct Removal {
  std::vector<std::int64_t> layers;  // numbers in the unpruned model, ascending
  std::string metric;                // that chose them: "angular", "bi", ...
  enum class Where { kOutside, kInside, kAnywhere } where = Where::kOutside;  // of the region
  bool spaced = false;                                                        // no two neighbours were taken
};

// What healing trained: "projector", "region" or "beside-cuts" (the survivors beside each cut, the others frozen).
struct Healing {
  std::string trained;
  bool unpruned = false;  // the same tuning of the model from which nothing was removed: what healing is compared with
};

struct LossPoint {
  std::int64_t step = 0;
  double loss = 0;
};

// What the steps of a run took. Times in seconds, memory in bytes. Where cells share features of pictures on the disk,
// times are without what it took to get the samples: the first cell would have run the vision tower for all others.
struct RunTaken {
  double seconds = 0;            // elapsed
  double processor_seconds = 0;  // of all threads; 0: not known
  double step_seconds = 0;       // median duration of a step
  std::int64_t steps = 0, tokens = 0, trained_parameters = 0;
  std::uint64_t peak_memory = 0;
};

// What answering costs. 0: not measured.
struct AnsweringCost {
  double prefill_tokens_per_second = 0, decode_tokens_per_second = 0;
  std::uint64_t weights = 0;  // bytes
};

enum class Treatment { kBase, kAligned, kTuned, kReverted, kPruned, kHealed };

struct StudiedModel {
  std::string cell;   // the folder of its cell, relative to the study's folder; unique together with `part`
  std::string part;   // which of the cell's models: "", "removed-02", ...
  std::string model;  // the study's name of the LVLM
  std::string data;   // the study's name of the training data
  Treatment treatment = Treatment::kBase;
  std::optional<Tuning> tuning{};                             // absent before tuning (base, aligned), and only there
  std::vector<std::int64_t> reverted{};                       // layers that went back to their weights before tuning
  std::optional<Removal> removal{};                           // absent: nothing was removed; a pruned model has one
  std::optional<Healing> healing{};                           // a healed model has one
  std::map<std::string, BenchmarkAnswers> benchmarks{};       // by StudiedBenchmark::name
  std::map<std::string, HeldOutLoss> losses{};                // by the name of the held-out data
  std::map<std::string, std::vector<double>> layer_scores{};  // by metric, one number per layer (NaN: none)
  std::vector<LossPoint> curve{};                             // of the run that made it
  std::optional<RunTaken> taken{};
  std::optional<AnsweringCost> answering{};
  std::optional<double> judged{};  // of a trial: what its learning rate was judged by; absent: its loss was not finite
};

struct StudiedLvlm {
  std::string name;
  std::int64_t layers = 0;
  std::int64_t parameters = 0;
};

struct FailedCell {
  std::string cell;
  std::string reason;  // one line
};

struct StudyResults {
  std::string name;         // of the study
  std::string description;  // one sentence, from its file; may be empty
  std::string reference;    // "paper" where the study repeats the paper's experiment on its own models; else empty
  std::string machine;      // that ran it, in words
  std::string version;      // of Striate
  std::vector<StudiedLvlm> lvlms{};
  std::vector<StudiedBenchmark> benchmarks{};
  std::vector<StudiedModel> models{};
  std::vector<FailedCell> failed{};
  std::int64_t cells = 0, finished = 0;                      // of the study; failed ones are not finished
  std::vector<std::pair<std::string, std::string>> notes{};  // facts for the report's head: name, value
  std::vector<std::string> warnings{};                       // what makes numbers doubtful, a sentence each
};

// What does not fit together, in one line; "" where all does: names that occur twice, a benchmark's answers that are
// not one per question, questions' scores beyond 0 to 1, layers beyond their decoder, numbers that are not finite.
std::string fault_of(const StudyResults& results);

// Names as files and tables write them: "visual", "outside", "tuned".
std::string name(Sense sense);
std::string name(Removal::Where where);
std::string name(Treatment treatment);

}  // namespace striate::study

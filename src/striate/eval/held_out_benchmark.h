// A benchmark as held-out data: its questions asked of a model in memory, and the answers scored by one protocol.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "striate/base/notes.h"
#include "striate/eval/held_out.h"
#include "striate/eval/opened_benchmark.h"
#include "striate/image/image.h"
#include "striate/ranks/rank_exchange.h"

namespace striate {

struct HeldOutBenchmark : BenchmarkRequest {
  std::int64_t limit = 0;  // so many questions, the first ones; 0: all
  OnBadSample on_bad_sample = OnBadSample::kStop;
};

// Reads its questions before a model's weights are read. Throws what open_benchmark() and,
// unless bad ones are skipped, require_pictures() throw; InvalidInput where the files have no right answers, or the
// model no vision tower.
OpenedBenchmark open_held_out(const HeldOutBenchmark& request, const ModelConfig& config);

// How it is asked; template and pictures are the model's.
struct BenchmarkAsking {
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::optional<PreprocessConfig> pixels;      // absent: the model has no vision tower
  std::filesystem::path feature_cache_folder;  // empty: none
  int threads = 2;                             // that read and decode pictures
  std::int64_t answers_at_once = 16;           // under way together
  Notes notes;                                 // warned of questions that cannot be asked
};

// EvaluationMetrics::benchmark and the answers, in the order of the questions; no loss. The ranks share the questions,
// and every one of them gets the whole result; `ranks` is nullptr for a process alone. Questions that cannot be asked
// (a damaged picture, a prompt beyond the context) are counted and left out. Throws what generating throws, and
// InvalidInput where no question was answered.
EvaluationMetrics evaluate_benchmark(const Lvlm& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                                     const OpenedBenchmark& benchmark, RankExchange* ranks,
                                     const BenchmarkAsking& asking, const EvaluationProgress& progress = {});

}  // namespace striate

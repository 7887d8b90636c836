// Asking a model the questions of benchmarks, and keeping its answers: `striate eval run`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "striate/base/notes.h"
#include "striate/base/stop_flag.h"
#include "striate/data/step_source.h"
#include "striate/eval/opened_benchmark.h"
#include "striate/eval/question_answerer.h"
#include "striate/ranks/ranks.h"

namespace striate {

struct AnswerRunRequest : AnswererSettings {
  std::vector<BenchmarkRequest> benchmarks;
  std::int64_t limit = 0;                          // so many questions of each, the first ones; 0: all
  bool without_pictures = false;                   // the same words, with the pictures left out
  std::filesystem::path out;                       // a new folder, or that of the same run, which then goes on
  OnBadSample on_bad_sample = OnBadSample::kStop;  // questions that cannot be asked, and malformed rows
  std::string version;
};

// What became of one benchmark.
struct BenchmarkOutcome {
  const Benchmark* benchmark = nullptr;
  const Protocol* protocol = nullptr;
  std::filesystem::path data, images;
  std::int64_t questions = 0;    // to ask, `limit` counted
  std::int64_t earlier = 0;      // of these, answered by an earlier run in this folder
  std::int64_t asked = 0;        // answered now, by all ranks
  std::int64_t bad = 0;          // left out: see bad_questions.jsonl
  std::int64_t bad_rows = 0;     // malformed ones of its files, left out: see bad_rows.jsonl
  std::string first_bad_row{};   // its place
  std::int64_t cut_prompts = 0;  // prompts that lost their beginning to fit the context
  std::int64_t prompt_tokens = 0, reused_tokens = 0, answer_tokens = 0;
  double seconds = 0;
};

struct AnswerRunResult {
  std::vector<BenchmarkOutcome> benchmarks;
  int stop_reason = 0;  // of the stop flag; 0: every question was asked
};

// What happens meanwhile, on every rank.
struct AnswerRunObserver {
  Notes notes;
  // Called before the first question of a benchmark and after each answer, with this rank's share.
  std::function<void(const std::string& benchmark, std::int64_t done, std::int64_t total)> progress;
  const StopFlag* stop = nullptr;  // once asked, the answers under way are dropped and the run ends
};

// Answers every question that the folder has no answer to, the ranks sharing them. Every rank returns the same
// figures but its own seconds. Throws InvalidInput for requests that make no sense, files that are missing and
// questions that cannot be asked (unless bad ones are skipped), before any weight is read where that can be told;
// and what loading, generating and writing throw. Answers given until then are kept.
AnswerRunResult run_answers(const AnswerRunRequest& request, const Ranks& ranks, const AnswerRunObserver& observer);

}  // namespace striate

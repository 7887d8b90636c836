// A benchmark whose questions are read, and whose pictures are found, before a model is loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "striate/answers/benchmark.h"
#include "striate/answers/question_store.h"
#include "striate/data/step_source.h"

namespace striate {

// What is done with malformed rows where this is done with questions.
OnBadRow on_bad_row(OnBadSample on_bad_sample);

// One benchmark to ask.
struct BenchmarkRequest {
  std::string name;              // answers/benchmark.h
  std::filesystem::path data;    // the folder of its files
  std::filesystem::path images;  // of its pictures; empty: looked for in `data` (find_pictures())
  std::string protocol;          // empty: the benchmark's first
};

struct OpenedBenchmark {
  BenchmarkRequest request;
  const Benchmark* benchmark = nullptr;
  const Protocol* protocol = nullptr;
  QuestionSet set{};                     // without its questions:
  QuestionStore store{};                 // they are here
  std::vector<std::size_t> questions{};  // of the store, to ask: those that the protocol asks, up to the limit
  bool shows_pictures = false;           // any of these has a picture
};

// `limit`: as of questions_to_ask(). `on_bad_row`: of the benchmark's files. Throws what read_questions() throws, and
// InvalidInput for names that there are not.
OpenedBenchmark open_benchmark(const BenchmarkRequest& request, std::int64_t limit,
                               OnBadRow on_bad_row = OnBadRow::kStop);

// Where a benchmark's pictures lie: the first of `data`, its "images" and the folders in it, up to three deep, that has
// the first picture asked about. `data` itself where none has it.
std::filesystem::path find_pictures(const std::filesystem::path& data, const QuestionSet& set);

// Throws InvalidInput where pictures are missing or their names lead out of the folder: how many, and the first.
void require_pictures(const OpenedBenchmark& opened);

// The questions of rank `rank` of `ranks` without those in `done`: questions about one picture stand next to each other
// and go to one rank, and so do neighbours without pictures, which may begin alike. `questions` are numbers in `store`.
std::vector<std::size_t> share_of(const QuestionStore& store, const std::vector<std::size_t>& questions,
                                  const std::set<std::string>& done, int rank, int ranks);
// The numbers of all questions of a store.
std::vector<std::size_t> all_of(const QuestionStore& store);

}  // namespace striate

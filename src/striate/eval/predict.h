// Answers to a user's own prompts: `striate predict`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "striate/data/step_source.h"
#include "striate/eval/question_answerer.h"

namespace striate {

struct PredictRequest : AnswererSettings {
  // Rows (tables/rows.h: JSON Lines, JSON, CSV, TSV, Parquet) with "prompt" (or "question", "text"), and where there
  // are any "image" or "images" and "id" (or "question_id"; default: the row's number from 0). A prompt without
  // <image> has its pictures put in front.
  std::filesystem::path prompts;
  std::filesystem::path images;  // what the pictures' names are relative to; empty: the folder of `prompts`
  std::filesystem::path out;     // JSON Lines of answers; those of an interrupted run are kept and go on
  bool raw = false;              // prompts as they are, without a conversation template
  std::int64_t max_tokens = 512;
  SamplingOptions sampling;
  std::vector<std::string> stop_strings;
  OnBadSample on_bad_sample = OnBadSample::kStop;  // prompts that cannot be asked, and malformed rows
};

struct PredictResult {
  std::int64_t prompts = 0, earlier = 0, answered = 0, bad = 0;
  std::int64_t bad_rows = 0;  // malformed, and no prompts therefore
  AnsweringFigures figures;
  double seconds = 0;
  int stop_reason = 0;  // of the stop flag; 0: every prompt was asked
};

struct PredictObserver {
  Notes notes;
  std::function<void(std::int64_t done, std::int64_t total)> progress;
  const StopFlag* stop = nullptr;
};

// Answers every prompt that `out` has no answer to, a line each, as they come. Throws InvalidInput for rows that make
// no sense (naming file and row), for ids that occur twice, for bad prompts, each unless it is skipped, and for an
// `out` that holds answers to other prompts or that another process is writing to; what loading, generating and writing
// throw.
PredictResult predict(const PredictRequest& request, const PredictObserver& observer);

}  // namespace striate

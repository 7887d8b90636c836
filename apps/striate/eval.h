// The commands under `striate eval`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "apps/striate/command.h"
#include "striate/answers/number_text.h"
#include "striate/answers/score.h"

namespace striate::app {

void add_eval_run(CLI::App& eval, Invocation& run);
void add_eval_score(CLI::App& eval, Invocation& run);
void add_eval_compare(CLI::App& eval, Invocation& run);
void add_eval_list(CLI::App& eval, Invocation& run);

// --seed and --draws of the intervals.
struct ResamplingFlags {
  std::int64_t seed = 1, draws = 1000;

  void add_to(CLI::App& command);
  Resampling resampling() const;
};

// --on-bad-sample of the commands that only read a benchmark's files.
struct BadRowFlags {
  std::string on_bad = "stop";

  void add_to(CLI::App& command);
  OnBadRow policy() const { return on_bad == "skip" ? OnBadRow::kSkip : OnBadRow::kStop; }
};

// Everything about a score but the answers.
nlohmann::json score_json(const ProtocolScore& score);
nlohmann::json interval_json(const Interval& interval);

// A column of a table for people.
struct TextColumn {
  std::string title;
  std::vector<std::string> cells{};
};
// Prints columns side by side, the first aligned left, the others right.
void print_columns(const std::vector<TextColumn>& columns);

// A line for each protocol: score, interval, counts.
void print_score_table(const std::vector<ProtocolScore>& scores);

// Prints one JSON object to standard output.
void print_eval_json(const nlohmann::json& value);

}  // namespace striate::app

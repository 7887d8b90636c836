// striate eval: what a model is worth, by named rules.
#include "apps/striate/eval.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/striate/flag_ranges.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

constexpr std::int64_t kMostDraws = 1'000'000;

}  // namespace

void ResamplingFlags::add_to(CLI::App& command) {
  command.add_option("--seed", seed, "Seed of the draws behind the intervals")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str();
  command.add_option("--draws", draws, "How often the questions are drawn again; 0: no intervals")
      ->check(whole_number(0, kMostDraws))
      ->capture_default_str();
}

Resampling ResamplingFlags::resampling() const {
  return {static_cast<std::uint64_t>(seed), draws};
}

void BadRowFlags::add_to(CLI::App& command) {
  command.add_option("--on-bad-sample", on_bad, "Action on a malformed row of the benchmark's files: stop or skip")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
}

nlohmann::json interval_json(const Interval& interval) {
  return {{"low", interval.low}, {"high", interval.high}};
}

nlohmann::json score_json(const ProtocolScore& score) {
  const Protocol& protocol = *score.protocol;
  nlohmann::json metrics = nlohmann::json::array(), kinds = nlohmann::json::object();
  for (const Metric& metric : score.more) {
    metrics.push_back(
        {{"name", metric.name}, {"value", metric.value}, {"unit", metric.unit}, {"questions", metric.questions}});
  }
  for (const auto& [kind, rows] : score.kinds) {
    kinds[kind] = nlohmann::json::array();
    for (const KindScore& row : rows) {
      kinds[kind].push_back({{"value", row.value}, {"score", row.score}, {"questions", row.questions}});
    }
  }
  return {{"protocol", protocol.name},
          {"version", protocol.version},
          {"asking", protocol.asking},
          {"scoring", protocol.scoring},
          {"notes", protocol.notes},
          {"headline",
           {{"name", score.headline.name},
            {"value", score.headline.value},
            {"unit", score.headline.unit},
            {"interval", interval_json(score.interval)}}},
          {"questions", score.questions},
          {"scored", score.headline.questions},
          {"answered", score.answered},
          {"empty", score.empty},
          {"unparsed", score.unparsed},
          {"cut", score.cut},
          {"other_prompt", score.other_prompt},
          {"metrics", metrics},
          {"kinds", kinds}};
}

void print_columns(const std::vector<TextColumn>& columns) {
  for (std::size_t row = 0; row <= columns[0].cells.size(); ++row) {
    std::string line = "  ";
    for (std::size_t i = 0; i < columns.size(); ++i) {
      std::size_t width = columns[i].title.size();
      for (const std::string& cell : columns[i].cells) width = std::max(width, cell.size());
      const std::string& cell = row == 0 ? columns[i].title : columns[i].cells[row - 1];
      const std::string space(width - cell.size(), ' ');
      line += i == 0 ? cell + space : cat("  ", space, cell);
    }
    line.resize(line.find_last_not_of(' ') + 1);
    std::cout << line << '\n';
  }
}

void print_eval_json(const nlohmann::json& value) {
  std::cout << value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void add_eval(CLI::App& app, Invocation& run) {
  CLI::App* eval = app.add_subcommand(
      "eval", "Ask a model the questions of benchmarks, score its answers by named rules, and compare runs");
  eval->require_subcommand(1);
  add_eval_run(*eval, run);
  add_eval_score(*eval, run);
  add_eval_compare(*eval, run);
  add_eval_list(*eval, run);
  eval->footer(example("striate eval score --answers answers.jsonl --benchmark gqa --data gqa"));
}

}  // namespace striate::app

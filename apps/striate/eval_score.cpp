// striate eval score: parse and score answers, without a model.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/eval.h"
#include "apps/striate/eval_page.h"
#include "apps/striate/fields.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

struct EvalScoreFlags {
  std::string answers, benchmark, data;
  std::vector<std::string> protocols;
  ResamplingFlags resampling;
  PageFlags page;
  BadRowFlags bad_rows;
  bool json = false;
};

constexpr const char* kCutLine = "the last line, which a killed run did not finish";

void print_details(const ProtocolScore& score, bool with_kinds) {
  std::cout << '\n'
            << score.protocol->name << ", version " << score.protocol->version << ": " << score.protocol->scoring
            << '\n';
  for (const std::string& note : score.protocol->notes) std::cout << "  note: " << note << '\n';
  std::vector<TextColumn> numbers = {{"number"}, {"value"}, {"questions"}};
  for (const Metric& metric : score.more) {
    numbers[0].cells.push_back(printable(metric.name));
    numbers[1].cells.push_back(metric_text(metric.value, metric.unit));
    numbers[2].cells.push_back(std::to_string(metric.questions));
  }
  if (!score.more.empty()) print_columns(numbers);
  if (!with_kinds) return;
  for (const auto& [kind, rows] : score.kinds) {
    std::vector<TextColumn> columns = {{kind}, {"mean score"}, {"questions"}};
    for (const KindScore& row : rows) {
      columns[0].cells.push_back(printable(row.value));
      columns[1].cells.push_back(metric_text(row.score, "%"));
      columns[2].cells.push_back(std::to_string(row.questions));
    }
    std::cout << '\n';
    print_columns(columns);
  }
}

void print_score_result(const ScoreResult& result) {
  std::cout << result.benchmark->title << '\n';
  print_field("answers", result.answers.string());
  if (result.cut_line) print_field("left out", kCutLine);
  for (const std::string& note : result.set->notes) print_field("note", note);
  std::cout << '\n';
  print_score_table(result.scores);
  for (const ProtocolScore& score : result.scores) print_details(score, result.scores.size() == 1);
  std::cout.flush();
}

nlohmann::json result_json(const ScoreResult& result, const Resampling& resampling) {
  nlohmann::json scores = nlohmann::json::array();
  for (const ProtocolScore& score : result.scores) scores.push_back(score_json(score));
  return {{"benchmark", result.benchmark->name}, {"title", result.benchmark->title},
          {"answers", result.answers.string()},  {"cut_line", result.cut_line},
          {"notes", result.set->notes},          {"seed", resampling.seed},
          {"draws", resampling.draws},           {"scores", scores}};
}

void write_score_page(const EvalScoreFlags& flags, const ScoreResult& result, AtomicFile& file) {
  RunPage page{.title = result.benchmark->title,
               .facts = {{"answers", result.answers.string()}},
               .parts = {page_part(result)},
               .resampling = flags.resampling.resampling(),
               .questions = flags.page.questions};
  page.parts[0].picture =
      small_pictures(result.set->pictures, flags.page.folders(flags.answers, flags.benchmark, flags.data));
  if (result.cut_line) page.facts.emplace_back("left out", kCutLine);
  for (const std::string& note : result.set->notes) page.facts.emplace_back("note", note);
  file.write(run_page(page));
  file.commit();
}

void run_eval_score(const EvalScoreFlags& flags, const CLI::App& command) {
  const Resampling resampling = flags.resampling.resampling();
  const auto page = flags.page.open(command);
  const ScoreResult result =
      score({flags.answers, flags.benchmark, flags.data, flags.protocols, resampling, flags.bad_rows.policy()});
  if (page != nullptr) write_score_page(flags, result, *page);
  if (flags.json) {
    print_eval_json(result_json(result, resampling));
  } else {
    print_score_result(result);
  }
}

}  // namespace

void print_score_table(const std::vector<ProtocolScore>& scores) {
  std::vector<TextColumn> columns = {{"protocol"}, {"score"}, {"95% interval"}, {"answered"},  {"empty"},
                                     {"unparsed"}, {"cut"},   {"other prompt"}, {"what it is"}};
  for (const ProtocolScore& score : scores) {
    const std::string& unit = score.headline.unit;
    const std::vector<std::string> row = {score.protocol->name,
                                          metric_text(score.headline.value, unit),
                                          interval_text(score.interval, unit),
                                          cat(score.answered, " of ", score.questions),
                                          std::to_string(score.empty),
                                          std::to_string(score.unparsed),
                                          std::to_string(score.cut),
                                          std::to_string(score.other_prompt),
                                          score.headline.name};
    for (std::size_t i = 0; i < columns.size(); ++i) columns[i].cells.push_back(row[i]);
  }
  print_columns(columns);
}

void add_eval_score(CLI::App& eval, Invocation& run) {
  const auto flags = std::make_shared<EvalScoreFlags>();
  CLI::App* command = eval.add_subcommand("score", "Score a file of answers, whichever program wrote it");
  command->add_option("--answers", flags->answers, "A file of answers, or the folder of a run")
      ->type_name("PATH")
      ->required();
  command->add_option("--benchmark", flags->benchmark, "What was asked: a name of striate eval list")
      ->type_name("NAME")
      ->required();
  command->add_option("--data", flags->data, "The folder of the benchmark's files")->type_name("DIR")->required();
  command->add_option("--protocol", flags->protocols, "By which rules; default: all of the benchmark")
      ->type_name("NAME[,NAME...]")
      ->delimiter(',');
  flags->resampling.add_to(*command);
  flags->page.add_to(*command);
  flags->bad_rows.add_to(*command);
  command->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  command->footer(
      example("striate eval score --answers answers.jsonl --benchmark gqa --data gqa --protocol llava,strict"));
  command->callback([flags, command, &run] { run.action = [flags, command] { run_eval_score(*flags, *command); }; });
}

}  // namespace striate::app

// striate eval run: ask a model the questions of benchmarks, and keep its answers.
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/answering_flags.h"
#include "apps/striate/eval.h"
#include "apps/striate/eval_page.h"
#include "apps/striate/fields.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/stop_signals.h"
#include "apps/striate/terminal_notes.h"
#include "striate/answers/run_page.h"
#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/eval/answer_run.h"
#include "striate/version.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;

struct EvalRunFlags {
  AnsweringFlags answering;
  std::vector<std::string> benchmarks;
  std::string data, images, protocol, out;
  std::int64_t limit = 0;
  ResamplingFlags resampling;
  bool without_pictures = false, json = false;
};

// With several benchmarks each has its own folder in `data`; with one, the folder may be its own.
fs::path folder_for(const fs::path& given, const std::string& benchmark, bool several, const char* flag) {
  if (is_folder(given / benchmark)) return given / benchmark;
  if (!several || is_file(given)) return given;
  throw invalid_input(
      cat(flag, " ", given.string(), ": there is no folder ", benchmark, " in it"),
      cat("put the files of each benchmark into a folder of its name, such as ", (given / benchmark).string()));
}

AnswerRunRequest request_of(const EvalRunFlags& flags, const Ranks& ranks) {
  AnswerRunRequest request;
  flags.answering.fill(request, ranks);
  const fs::path data = existing_path("--data", flags.data);
  const fs::path images = existing_path("--images", flags.images);
  const bool several = flags.benchmarks.size() > 1;
  for (const std::string& name : flags.benchmarks) {
    find_benchmark(name);
    BenchmarkRequest benchmark{name, folder_for(data, name, several, "--data"), {}, flags.protocol};
    if (!images.empty()) benchmark.images = is_folder(images / name) ? images / name : images;
    request.benchmarks.push_back(std::move(benchmark));
  }
  request.limit = flags.limit;
  request.without_pictures = flags.without_pictures;
  request.out = flags.out;
  request.on_bad_sample = flags.answering.on_bad_sample();
  request.version = STRIATE_VERSION;
  return request;
}

std::string per_second(const BenchmarkOutcome& outcome) {
  if (outcome.asked == 0 || outcome.seconds <= 0) return "-";
  return rate_text(static_cast<double>(outcome.asked) / outcome.seconds);
}

void print_outcome(const BenchmarkOutcome& outcome) {
  print_field(outcome.benchmark->name,
              cat(outcome.asked, " of ", outcome.questions, " questions asked by ", outcome.protocol->name, " in ",
                  human_duration(outcome.seconds), ", ", per_second(outcome)));
  if (outcome.earlier > 0) print_field("", cat(outcome.earlier, " were answered before"));
  if (outcome.bad > 0) print_field("", cat(outcome.bad, " could not be asked: bad_questions.jsonl says why"));
  if (outcome.bad_rows > 0) {
    print_field("", cat(outcome.bad_rows, outcome.bad_rows == 1 ? " malformed row was" : " malformed rows were",
                        " left out: bad_rows.jsonl says why; the first is ", outcome.first_bad_row));
  }
  if (outcome.cut_prompts > 0) {
    print_field("", cat(outcome.cut_prompts, " prompts lost their beginning: the context is too short"));
  }
  if (outcome.reused_tokens > 0) {
    const std::int64_t percent = 100 * outcome.reused_tokens / outcome.prompt_tokens;
    print_field("", cat(percent, "% of the prompts' tokens were shared with an earlier prompt"));
  }
}

nlohmann::json outcome_json(const BenchmarkOutcome& outcome) {
  return {{"name", outcome.benchmark->name},
          {"protocol", outcome.protocol->name},
          {"questions", outcome.questions},
          {"earlier", outcome.earlier},
          {"asked", outcome.asked},
          {"bad", outcome.bad},
          {"bad_rows", outcome.bad_rows},
          {"cut_prompts", outcome.cut_prompts},
          {"prompt_tokens", outcome.prompt_tokens},
          {"reused_tokens", outcome.reused_tokens},
          {"answer_tokens", outcome.answer_tokens},
          {"seconds", outcome.seconds},
          {"images", outcome.images.string()}};
}

// Every protocol that shares the answers, the one asked first; none where there are no answers, or no right ones.
std::optional<ScoreResult> score_of(const BenchmarkOutcome& outcome, const EvalRunFlags& flags) {
  if (outcome.asked + outcome.earlier == 0) return std::nullopt;
  std::vector<std::string> names = {outcome.protocol->name};
  for (const Protocol& protocol : outcome.benchmark->protocols) {
    if (protocol.asking == outcome.protocol->asking && protocol.name != names.front()) names.push_back(protocol.name);
  }
  if (outcome.benchmark->name == "llava-json") {
    names.resize(1);  // every rule shares the answers: the one that was asked for, and the common ones
    for (const char* common : {"exact", "vqa", "contains", "anls"}) {
      if (names.front() != common) names.emplace_back(common);
    }
  }
  const OnBadRow bad_rows = on_bad_row(flags.answering.on_bad_sample());
  ScoreRequest request{
      flags.out, outcome.benchmark->name, outcome.data, names, flags.resampling.resampling(), bad_rows, flags.limit};
  if (read_questions(*outcome.benchmark, outcome.data, bad_rows).no_references) return std::nullopt;
  return score(request);
}

void write_page(const EvalRunFlags& flags, const AnswerRunRequest& request, const AnswerRunResult& result,
                const std::vector<std::optional<ScoreResult>>& scores) {
  RunPage page;
  page.title = fs::path(flags.out).lexically_normal().filename().string();
  if (request.model.model) page.facts.emplace_back("model", request.model.model->string());
  if (request.model.adapter) page.facts.emplace_back("adapter", request.model.adapter->string());
  if (flags.without_pictures) page.facts.emplace_back("pictures", "left out");
  page.resampling = flags.resampling.resampling();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!scores[i]) continue;
    page.parts.push_back(page_part(*scores[i]));
    if (!flags.without_pictures)
      page.parts.back().picture = small_pictures(scores[i]->set->pictures, {result.benchmarks[i].images});
  }
  if (!page.parts.empty()) write_file(OutputPath::inside(flags.out, "report.html"), run_page(page));
}

void show_result(const EvalRunFlags& flags, const AnswerRunRequest& request, const AnswerRunResult& result) {
  std::vector<std::optional<ScoreResult>> scores;
  nlohmann::json printed = {{"out", flags.out}, {"benchmarks", nlohmann::json::array()}};
  for (const BenchmarkOutcome& outcome : result.benchmarks) {
    scores.push_back(score_of(outcome, flags));
    nlohmann::json part = outcome_json(outcome);
    part["scores"] = nlohmann::json::array();
    if (scores.back()) {
      for (const ProtocolScore& score : scores.back()->scores) part["scores"].push_back(score_json(score));
    }
    printed["benchmarks"].push_back(std::move(part));
  }
  write_page(flags, request, result, scores);
  if (flags.json) return print_eval_json(printed);
  for (std::size_t i = 0; i < result.benchmarks.size(); ++i) {
    print_outcome(result.benchmarks[i]);
    if (scores[i]) {
      print_score_table(scores[i]->scores);
    } else if (result.benchmarks[i].asked + result.benchmarks[i].earlier > 0) {
      print_field("", "no right answers are at hand: striate eval list says which file has them");
    }
  }
  print_field("answers", flags.out);
}

void run_eval_run(const EvalRunFlags& flags) {
  const Ranks ranks = find_ranks();
  const AnswerRunRequest request = request_of(flags, ranks);
  StopFlag stop;
  const StopSignals signals(stop);
  std::optional<Progress> bar;
  std::string shown;
  std::int64_t before = 0;
  AnswerRunObserver observer;
  observer.notes = terminal_notes();
  observer.stop = &stop;
  observer.progress = [&](const std::string& benchmark, std::int64_t done, std::int64_t total) {
    if (ranks.rank != 0 || flags.json) return;
    if (shown != benchmark) {
      if (bar) bar->finish();
      bar.emplace(benchmark, static_cast<std::uint64_t>(total), ProgressOptions::standard_error("questions"));
      shown = benchmark;
      before = 0;
    }
    bar->advance(static_cast<std::uint64_t>(done - before));
    before = done;
  };
  const AnswerRunResult result = run_answers(request, ranks, observer);
  if (bar) bar->finish();
  if (ranks.rank != 0) return;
  if (result.stop_reason != 0) {
    std::cerr << "stopped: the answers so far are in " << flags.out << "; the same command goes on\n";
    return;
  }
  show_result(flags, request, result);
}

void add_run_flags(CLI::App& c, EvalRunFlags& f) {
  f.answering.model.add_to(c);
  c.add_option("--benchmark", f.benchmarks, "What to ask: names of striate eval list")
      ->type_name("NAME[,NAME...]")
      ->delimiter(',')
      ->required();
  c.add_option("--data", f.data, "Folder of the benchmark's files; of several benchmarks, each in a folder of its name")
      ->type_name("DIR")
      ->required();
  c.add_option("--images", f.images, "Folder of the pictures; default: looked for in --data")->type_name("DIR");
  c.add_option("--protocol", f.protocol, "By whose prompt and decoding; default: the first that eval list shows")
      ->type_name("NAME");
  c.add_option("--limit", f.limit, "Ask only the first N questions of each benchmark; 0: all")
      ->check(whole_number(0, kMostSamples))
      ->capture_default_str();
  c.add_flag("--without-pictures", f.without_pictures, "Ask the same words with the pictures left out");
  c.add_option("--out", f.out, "Folder for the answers; an interrupted run in it goes on")
      ->type_name("DIR")
      ->required();
  f.answering.add_to(c);
  f.resampling.add_to(c);
  c.add_flag("--json", f.json, "Print one JSON object and nothing else");
}

}  // namespace

void add_eval_run(CLI::App& eval, Invocation& run) {
  const auto flags = std::make_shared<EvalRunFlags>();
  CLI::App* command = eval.add_subcommand("run", "Ask a model the questions of benchmarks, and keep its answers");
  add_run_flags(*command, *flags);
  command->footer(
      example("striate eval run --model llava-1.5-7b-hf --benchmark pope,gqa --data eval --out answers-7b"));
  command->callback([flags, &run] {
    run.computes = true;
    run.action = [flags] { run_eval_run(*flags); };
  });
}

}  // namespace striate::app

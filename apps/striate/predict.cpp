// striate predict: answers to a file of prompts and pictures.
#include "striate/eval/predict.h"

#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "apps/striate/answering_flags.h"
#include "apps/striate/command.h"
#include "apps/striate/fields.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/sampling_flags.h"
#include "apps/striate/stop_signals.h"
#include "apps/striate/terminal_notes.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

struct PredictFlags {
  AnsweringFlags answering;
  std::string prompts, images, out;
  std::int64_t max_tokens = 512;
  SamplingOptions sampling;
  std::vector<std::string> stops;
  bool raw = false, json = false;
};

PredictRequest request_of(const PredictFlags& flags) {
  PredictRequest request;
  flags.answering.fill(request, Ranks{});
  request.prompts = existing_path("--prompts", flags.prompts);
  request.images = existing_path("--images", flags.images);
  request.out = flags.out;
  request.raw = flags.raw;
  request.max_tokens = flags.max_tokens;
  request.sampling = flags.sampling;
  request.stop_strings = flags.stops;
  request.on_bad_sample = flags.answering.on_bad_sample();
  return request;
}

void print_prediction(const PredictFlags& flags, const PredictResult& result) {
  if (flags.json) {
    const nlohmann::json printed = {{"out", flags.out},
                                    {"prompts", result.prompts},
                                    {"earlier", result.earlier},
                                    {"answered", result.answered},
                                    {"bad", result.bad},
                                    {"bad_rows", result.bad_rows},
                                    {"prompt_tokens", result.figures.prompt_tokens},
                                    {"reused_tokens", result.figures.reused_tokens},
                                    {"seconds", result.seconds}};
    std::cout << printed.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    return;
  }
  print_field("answers", cat(result.answered, " of ", result.prompts, " in ", human_duration(result.seconds)));
  if (result.earlier > 0) print_field("", cat(result.earlier, " were answered before"));
  if (result.bad > 0) print_field("", cat(result.bad, " could not be asked"));
  if (result.bad_rows > 0) print_field("", cat(result.bad_rows, " malformed rows were left out"));
  print_field("out", flags.out);
  std::cout.flush();
}

void run_predict(const PredictFlags& flags, const CLI::App& command) {
  refuse_unread_sampling(command, flags.sampling);
  if (flags.raw) refuse_unread(command, {"--template"}, "does not apply to --raw", "give one of them");
  const PredictRequest request = request_of(flags);
  StopFlag stop;
  const StopSignals signals(stop);
  std::optional<Progress> bar;
  std::int64_t before = 0;
  PredictObserver observer{terminal_notes(), {}, &stop};
  observer.progress = [&](std::int64_t done, std::int64_t total) {
    if (flags.json) return;
    if (!bar) bar.emplace("Answering", static_cast<std::uint64_t>(total), ProgressOptions::standard_error("prompts"));
    bar->advance(static_cast<std::uint64_t>(done - before));
    before = done;
  };
  const PredictResult result = predict(request, observer);
  if (bar) bar->finish();
  if (result.stop_reason != 0) {
    std::cerr << "stopped: the answers so far are in " << flags.out << "; the same command goes on\n";
    return;
  }
  print_prediction(flags, result);
}

void add_predict_flags(CLI::App& c, PredictFlags& f) {
  f.answering.model.add_to(c);
  c.add_option("--prompts", f.prompts,
               "Rows with \"prompt\", \"image\" or \"images\", and \"id\": JSON Lines, JSON, CSV, TSV or Parquet")
      ->type_name("FILE")
      ->required();
  c.add_option("--images", f.images, "Folder of the pictures; default: the folder of --prompts")->type_name("DIR");
  c.add_option("--out", f.out, "File for the answers (JSON Lines); an interrupted one is continued")
      ->type_name("FILE")
      ->required();
  c.add_option("--max-tokens", f.max_tokens, "Maximum length of an answer, in tokens")
      ->check(whole_number(1, kMostTokens))
      ->capture_default_str();
  add_sampling(c, f.sampling);
  c.add_option("--stop", f.stops, "Text before which an answer ends; may be given several times")
      ->allow_extra_args(false);
  c.add_flag("--raw", f.raw, "Use the prompts as they are, without a conversation template");
  f.answering.add_to(c);
  c.add_flag("--json", f.json, "Print one JSON object and nothing else");
}

}  // namespace

void add_predict(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<PredictFlags>();
  CLI::App* command = app.add_subcommand("predict", "Answer a file of prompts and pictures");
  add_predict_flags(*command, *flags);
  command->footer(
      example("striate predict --model llava-1.5-7b-hf --prompts prompts.jsonl --images pictures --out answers.jsonl"));
  command->callback([flags, command, &run] {
    run.computes = true;
    run.action = [flags, command] { run_predict(*flags, *command); };
  });
}

}  // namespace striate::app

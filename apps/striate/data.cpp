// striate data check: what is in a data set, and everything that is wrong with it, before anything is trained.
#include <algorithm>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/striate/command.h"
#include "apps/striate/model_flags.h"
#include "striate/base/error.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/data/bad_sample_log.h"
#include "striate/data/data_check.h"
#include "striate/model/load.h"

namespace striate::app {
namespace {

using nlohmann::json;

constexpr std::size_t kExamples = 3;    // of each kind of bad sample
constexpr std::int64_t kBarWidth = 40;  // characters of the longest bar

struct DataFlags {
  ModelFlags model;
  std::string data, images, conversation, tokenizer, list;
  std::int64_t max_tokens = 2048;
  int threads = 0;
  bool json = false;
};

void print_field(const std::string& name, const std::string& value) {
  std::cout << "  " << std::left << std::setw(16) << name << value << '\n';
}

std::string share(std::int64_t part, std::int64_t whole) {
  std::ostringstream out;
  out << part << " (" << std::fixed << std::setprecision(1)
      << (whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole)) << "%)";
  return out.str();
}

void print_lengths(const DataReport& report) {
  std::int64_t most = 0;
  for (const auto& [bound, count] : report.lengths) most = std::max(most, count);
  std::cout << "\n  tokens a sample (image rows counted)\n";
  for (const auto& [bound, count] : report.lengths) {
    const auto bar = static_cast<std::size_t>((count * kBarWidth + most - 1) / most);
    const std::int64_t from = bound == DataReport::kShortestClass ? 1 : bound / 2 + 1;
    std::cout << std::right << std::setw(8) << from << " to " << std::left << std::setw(6) << bound << std::right
              << std::setw(9) << count << "  " << std::string(bar, '#') << '\n';
  }
}

void print_bad(const DataReport& report) {
  for (const auto& [reason, tally] : report.bad) {
    std::cout << "\n  " << bad_reason_name(reason) << ": " << tally.count << '\n';
    for (std::size_t i = 0; i < std::min(kExamples, tally.samples.size()); ++i) {
      std::cout << "    " << tally.samples[i].message << '\n';
    }
    if (tally.samples.size() > kExamples) {
      std::cout << "    ... and " << tally.samples.size() - kExamples << " more (--list FILE writes them all)\n";
    }
  }
  if (report.duplicate_ids.empty()) return;
  std::cout << "\n  ids of several samples: " << report.duplicate_ids.size()
            << " (no error: training does not read ids)\n";
  std::size_t shown = 0;
  for (const auto& [id, times] : report.duplicate_ids) {
    if (shown++ == kExamples) break;
    std::cout << "    '" << id << "', " << times << " times\n";
  }
}

void print_report(const DataFlags& flags, TemplateKind conversation, const DataReport& report) {
  std::cout << flags.data << '\n';
  print_field("samples", std::to_string(report.samples));
  print_field("good", share(report.good, report.samples));
  print_field("with pictures", cat(report.with_images, ", ", report.images, " pictures"));
  print_field("text alone", std::to_string(report.good - report.with_images));
  print_field("answers", std::to_string(report.turns));
  print_field("tokens", cat(human_count(static_cast<std::uint64_t>(report.tokens)), ", ",
                            human_count(static_cast<std::uint64_t>(report.targets)),
                            " of them learned; the longest sample ", report.longest));
  print_field("cut", cat(share(report.truncated, report.samples), " at ", flags.max_tokens, " tokens"));
  print_field("template", template_name(conversation));
  if (!report.lengths.empty()) print_lengths(report);
  print_bad(report);
  std::cout.flush();
}

json report_json(const DataFlags& flags, TemplateKind conversation, const DataReport& report) {
  json lengths = json::array();
  for (const auto& [bound, count] : report.lengths) lengths.push_back({{"at_most", bound}, {"samples", count}});
  json bad = json::object();
  for (const auto& [reason, tally] : report.bad) {
    json first = json::array();
    for (std::size_t i = 0; i < std::min(kExamples, tally.samples.size()); ++i) {
      const SkippedSample& sample = tally.samples[i];
      first.push_back({{"sample", sample.index}, {"id", sample.id}, {"message", sample.message}});
    }
    bad[bad_reason_name(reason)] = {{"count", tally.count}, {"first", first}};
  }
  return {{"data", flags.data},
          {"template", template_name(conversation)},
          {"max_tokens", flags.max_tokens},
          {"samples", report.samples},
          {"good", report.good},
          {"bad", report.bad_count()},
          {"with_images", report.with_images},
          {"images", report.images},
          {"answers", report.turns},
          {"tokens", report.tokens},
          {"targets", report.targets},
          {"truncated", report.truncated},
          {"longest", report.longest},
          {"lengths", lengths},
          {"reasons", bad},
          {"duplicate_ids", report.duplicate_ids}};
}

// Every bad sample, as training lists those it skips.
void write_list(const DataFlags& flags, const DataReport& report) {
  if (flags.list.empty()) return;
  std::vector<SkippedSample> all;
  for (const auto& [reason, tally] : report.bad) all.insert(all.end(), tally.samples.begin(), tally.samples.end());
  std::ranges::sort(all, {}, &SkippedSample::index);
  write_bad_samples(flags.list, all);
}

void run_check(const DataFlags& flags) {
  const Checkpoint checkpoint = open_checkpoint(flags.model.paths());
  const ModelConfig& config = checkpoint.config;
  const auto tokenizer =
      load_tokenizer(flags.tokenizer.empty() ? checkpoint.folder : std::filesystem::path(flags.tokenizer));
  DataCheckOptions options;
  options.data = flags.data;
  options.images = flags.images;
  if (config.vision) options.preprocess = preprocess_config(config, checkpoint.folder);
  options.conversation =
      flags.conversation.empty() ? default_template(config.family) : parse_template(flags.conversation);
  options.max_tokens = flags.max_tokens;
  options.threads =
      flags.threads > 0 ? flags.threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::optional<Progress> progress;
  const DataReport report = check_data(config, *tokenizer, options, [&](std::int64_t done, std::int64_t all) {
    if (!progress) {
      progress.emplace("Checking", static_cast<std::uint64_t>(all), ProgressOptions::standard_error("samples"));
    }
    progress->advance(static_cast<std::uint64_t>(done));
  });
  if (progress) progress->finish();
  if (flags.json) {
    std::cout << report_json(flags, options.conversation, report).dump(2, ' ', false, json::error_handler_t::replace)
              << std::endl;
  } else {
    print_report(flags, options.conversation, report);
  }
  write_list(flags, report);
  // The report is out; that training would stop is an error all the same.
  if (report.bad_count() == 0) return;
  throw invalid_input(cat(flags.data, ": ", report.bad_count(), " of ", report.samples, " samples are bad"),
                      "repair them or leave them out; striate train --on-bad-sample skip passes over a few");
}

}  // namespace

void add_data(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<DataFlags>();
  CLI::App* data = app.add_subcommand("data", "Look at training data");
  data->require_subcommand(1);
  CLI::App* check = data->add_subcommand("check", "Find every sample that cannot be trained on");
  flags->model.add_to(*check);
  check->add_option("--data", flags->data, "LLaVA JSON or JSON Lines")->type_name("FILE")->required();
  check->add_option("--images", flags->images, "The folder its pictures are in")->type_name("DIR");
  check->add_option("--template", flags->conversation, "vicuna_v1, bunny, llama, phi3, plain; default: the model's");
  check->add_option("--tokenizer", flags->tokenizer, "A tokenizer's folder or file; default: the model's")
      ->type_name("PATH");
  check->add_option("--max-tokens", flags->max_tokens, "Longer samples are cut; pictures count their rows")
      ->check(CLI::Range(2, 1 << 24))
      ->capture_default_str();
  check->add_option("--threads", flags->threads, "Threads that read and decode; 0: as many as there are cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  check->add_option("--list", flags->list, "Write every bad sample here, as JSON Lines")->type_name("FILE");
  check->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  check->footer(example("striate data check --model llava-1.5-7b-hf --data train.json --images pictures"));
  check->callback([flags, &run] { run.action = [flags] { run_check(*flags); }; });
}

}  // namespace striate::app

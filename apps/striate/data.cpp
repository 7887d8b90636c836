// striate data check: what is in a data set, and everything that is wrong with it, before anything is trained.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/data_flags.h"
#include "apps/striate/fields.h"
#include "apps/striate/flag_names.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/result_file.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/error.h"
#include "striate/base/progress.h"
#include "striate/base/strings.h"
#include "striate/data/bad_sample_log.h"
#include "striate/data/data_check.h"

namespace striate::app {
namespace {

using nlohmann::json;

constexpr std::size_t kExamples = 3;    // of each kind of bad sample
constexpr std::int64_t kBarWidth = 40;  // characters of the longest bar

struct DataFlags {
  ModelFlags model;
  TextFlags text;
  std::string data, images, list;
  std::int64_t max_tokens = 2048;
  int threads = 0;
  bool json = false, overwrite = false;
};

// Scripts read these lines: their values stay in column 18.
void print_wide(const std::string& name, const std::string& value) {
  print_field(name, value, 16);
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
  std::cout << "\n  tokens per sample, image rows included\n";
  for (const auto& [bound, count] : report.lengths) {
    const auto bar = static_cast<std::size_t>((count * kBarWidth + most - 1) / most);
    const std::int64_t from = bound == DataReport::kShortestClass ? 1 : bound / 2 + 1;
    std::cout << std::right << std::setw(8) << from << " to " << std::left << std::setw(6) << bound << std::right
              << std::setw(9) << count << "  " << std::string(bar, '#') << '\n';
  }
}

// The first of a kind, each with what to do about it, which is said once where it is the same for several.
void print_examples(const BadTally& tally) {
  const std::size_t shown = std::min(kExamples, tally.samples.size());
  for (std::size_t i = 0; i < shown; ++i) {
    std::cout << "    " << with_flags(tally.samples[i].message) << '\n';
    const bool is_last = i + 1 == shown || tally.samples[i + 1].hint != tally.samples[i].hint;
    if (is_last && !tally.samples[i].hint.empty())
      std::cout << "      hint: " << with_flags(tally.samples[i].hint) << '\n';
  }
}

void print_bad(const DataReport& report) {
  for (const auto& [reason, tally] : report.bad) {
    std::cout << "\n  " << bad_reason_name(reason) << ": " << tally.count << '\n';
    if (reason == BadReason::kMissingImage && report.wrong_folder) {
      std::cout << "    none of the pictures exists (--list FILE writes all names)\n";
      continue;
    }
    print_examples(tally);
    if (tally.count > static_cast<std::int64_t>(kExamples)) {
      std::cout << "    ... and " << tally.count - static_cast<std::int64_t>(kExamples)
                << " more (--list FILE writes them all)\n";
    }
  }
  if (report.duplicate_ids.empty()) return;
  std::cout << "\n  ids that several samples share: " << report.duplicate_ids.size()
            << " (not an error: training does not use ids)\n";
  std::size_t shown = 0;
  for (const auto& [id, times] : report.duplicate_ids) {
    if (shown++ == kExamples) break;
    std::cout << "    '" << printable(id) << "', " << times << " times\n";
  }
}

void print_report(const DataFlags& flags, const DataReport& report) {
  std::cout << printable(flags.data) << '\n';
  print_wide("samples", std::to_string(report.samples));
  print_wide("good", share(report.good, report.samples));
  print_wide("with pictures", cat(report.with_images, ", ", report.images, " pictures"));
  print_wide("text alone", std::to_string(report.good - report.with_images));
  for (const auto& [form, count] : report.forms) print_wide("form", cat(form, ": ", count));
  print_wide("answers", std::to_string(report.turns));
  print_wide("tokens", cat(human_count(static_cast<std::uint64_t>(report.tokens)), ", ",
                           human_count(static_cast<std::uint64_t>(report.targets)),
                           " of them targets; the longest sample has ", report.longest));
  print_wide("cut", cat(share(report.truncated, report.samples), " at ", flags.max_tokens, " tokens"));
  print_wide("template", template_name(report.conversation));
  if (!report.lengths.empty()) print_lengths(report);
  print_bad(report);
  std::cout.flush();
}

json report_json(const DataFlags& flags, const DataReport& report) {
  json lengths = json::array();
  for (const auto& [bound, count] : report.lengths) lengths.push_back({{"at_most", bound}, {"samples", count}});
  json bad = json::object();
  for (const auto& [reason, tally] : report.bad) {
    json first = json::array();
    for (std::size_t i = 0; i < std::min(kExamples, tally.samples.size()); ++i) {
      const SkippedSample& sample = tally.samples[i];
      first.push_back({{"sample", sample.number},
                       {"id", sample.id},
                       {"message", with_flags(sample.message)},
                       {"hint", with_flags(sample.hint)}});
    }
    bad[bad_reason_name(reason)] = {{"count", tally.count}, {"first", first}};
  }
  return {{"data", flags.data},
          {"template", template_name(report.conversation)},
          {"max_tokens", flags.max_tokens},
          {"forms", report.forms},
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
void write_list(AtomicFile& file, const DataReport& report) {
  std::vector<SkippedSample> all;
  for (const auto& [reason, tally] : report.bad) all.insert(all.end(), tally.samples.begin(), tally.samples.end());
  std::ranges::sort(all, {}, &SkippedSample::number);
  write_bad_samples(file, all);
}

void run_check(const DataFlags& flags, const CLI::App& command) {
  if (flags.list.empty()) {
    refuse_unread(command, {"--overwrite"}, "needs --list",
                  "give the file of bad samples with --list, or leave it out");
  }
  const std::unique_ptr<AtomicFile> list = open_result("--list", flags.list, flags.overwrite, kBadSampleMark);
  DataCheckRequest request;
  request.model = flags.model.paths();
  request.tokenizer = flags.text.tokenizer_asked();
  request.conversation = flags.text.conversation_asked();
  request.data = flags.data;
  request.images = flags.images;
  request.max_tokens = flags.max_tokens;
  request.threads = flags.threads;
  if (flags.list.empty()) request.keep = kExamples;
  std::optional<Progress> progress;
  const DataReport report = check_data(request, [&](std::int64_t done, std::int64_t all) {
    if (!progress) {
      progress.emplace("Checking", static_cast<std::uint64_t>(all), ProgressOptions::standard_error("samples"));
    }
    progress->advance(static_cast<std::uint64_t>(done));
  });
  if (progress) progress->finish();
  if (flags.json) {
    std::cout << report_json(flags, report).dump(2, ' ', false, json::error_handler_t::replace) << std::endl;
  } else {
    print_report(flags, report);
  }
  if (list) write_list(*list, report);
  require_good_samples(request, report);  // the report is out; that training would stop is an error all the same
}

}  // namespace

void add_data(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<DataFlags>();
  CLI::App* data = app.add_subcommand("data", "Check training data");
  data->require_subcommand(1);
  const std::string footer = example("striate data check --model llava-1.5-7b-hf --data train.json --images pictures");
  data->footer(footer);
  CLI::App* check = data->add_subcommand("check", "Find every sample that training cannot use");
  flags->model.add_to(*check);
  check->add_option("--data", flags->data, "Conversations in LLaVA's format: JSON or JSON Lines")
      ->type_name("FILE")
      ->required();
  add_images(*check, flags->images);
  flags->text.add_to(*check);
  add_max_tokens(*check, flags->max_tokens, 1);
  check->add_option("--threads", flags->threads, "Number of threads that read and decode; 0: one per core")
      ->check(whole_number(0, kMostThreads))
      ->capture_default_str();
  check->add_option("--list", flags->list, "JSON Lines file that lists every bad sample")->type_name("FILE");
  add_overwrite(*check, flags->overwrite);
  check->add_flag("--json", flags->json, "Print one JSON object and nothing else");
  check->footer(footer);
  check->callback([flags, check, &run] { run.action = [flags, check] { run_check(*flags, *check); }; });
}

}  // namespace striate::app

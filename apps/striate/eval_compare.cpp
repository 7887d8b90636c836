// striate eval compare: what changed from one run to another, question by question.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/striate/eval.h"
#include "apps/striate/eval_page.h"
#include "apps/striate/fields.h"
#include "apps/striate/flag_ranges.h"
#include "apps/striate/unread_flags.h"
#include "striate/answers/compare.h"
#include "striate/answers/retention.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/image/picture_name.h"

namespace striate::app {
namespace {

using nlohmann::json;

constexpr std::size_t kShownReference = 80;  // bytes of a right answer: GSM8K's are whole solutions

struct EvalCompareFlags {
  std::vector<std::string> runs;
  std::string benchmark, data, protocol;
  std::int64_t changed = 10;
  ResamplingFlags resampling;
  PageFlags page;
  BadRowFlags bad_rows;
  bool json = false;

  // What runs are called in tables: the last part of their paths, where these differ.
  std::vector<std::string> names() const {
    std::set<std::string> distinct;
    std::vector<std::string> last;
    for (const std::string& run : runs) {
      const std::filesystem::path path = std::filesystem::path(cat(run, "/")).lexically_normal().parent_path();
      last.push_back(path.filename().string());
      distinct.insert(last.back());
    }
    return distinct.size() == runs.size() ? last : runs;
  }
};

CompareRequest request_of(const EvalCompareFlags& flags) {
  CompareRequest request;
  request.runs.assign(flags.runs.begin(), flags.runs.end());
  request.resampling = flags.resampling.resampling();
  request.on_bad_row = flags.bad_rows.policy();
  const bool any = !flags.benchmark.empty() || !flags.data.empty() || !flags.protocol.empty();
  const bool all = !flags.benchmark.empty() && !flags.data.empty() && !flags.protocol.empty();
  if (any && !all) {
    throw invalid_input("striate eval compare needs --benchmark, --data and --protocol together",
                        "give all three, or none where run.json of the first run says what was evaluated");
  }
  if (all) request.parts = {{flags.benchmark, flags.data, flags.protocol}};
  return request;
}

void print_changed(const char* title, const std::vector<ChangedQuestion>& questions, std::int64_t most) {
  if (questions.empty() || most == 0) return;
  std::cout << "    " << title << '\n';
  std::int64_t shown = 0;
  for (const ChangedQuestion& changed : questions) {
    if (shown++ == most) {
      std::cout << "      ... and " << questions.size() - static_cast<std::size_t>(most) << " more\n";
      break;
    }
    const std::string reference = changed.question->references.empty() ? "" : changed.question->references[0];
    std::cout << "      " << printable(changed.question->id) << ": '" << printable(changed.parsed_before) << "' -> '"
              << printable(changed.parsed_after) << "' (right: '" << printable(shortened(reference, kShownReference))
              << "')\n";
  }
}

// "+1.20 points (95%: 0.31 to 2.10)".
std::string paired_text(const PartComparison& part, const RunDifference& difference) {
  const std::string& unit = part.protocol->headline_unit;
  return cat(difference_text(difference.difference, unit),
             " (95%: ", interval_text(difference.interval, difference_unit(unit)), ")");
}

void print_picture_uses(const PartComparison& part) {
  for (const PictureUse& use : part.picture_uses) {
    const std::string& unit = part.protocol->headline_unit;
    print_field("pictures", cat("run ", use.with + 1, ": ", metric_text(use.difference.second, unit), " with, ",
                                metric_text(use.difference.first, unit), " without, difference ",
                                paired_text(part, use.difference), ": ", picture_verdict(use)));
  }
}

void add_retention_rows(std::vector<TextColumn>& columns, const std::vector<RetentionRow>& rows, const char* mean) {
  if (rows.empty()) return;
  const auto add = [&](std::size_t column, const std::string& text) { columns[column].cells.push_back(text); };
  for (const RetentionRow& row : rows) {
    add(0, cat(row.part->benchmark->name, " (", row.part->protocol->name, ")"));
    add(1, metric_text(row.values[0], row.part->protocol->headline_unit));
    for (std::size_t i = 1; i < row.values.size(); ++i) {
      add(2 * i, metric_text(row.values[i], row.part->protocol->headline_unit));
      add(2 * i + 1, share_text(row.kept[i]));
    }
  }
  add(0, mean);
  add(1, "");
  for (std::size_t i = 1; i < rows[0].values.size(); ++i) {
    add(2 * i, "");
    add(2 * i + 1, share_text(mean_kept(rows, i)));
  }
}

void print_retention(const Retention& table, const std::vector<std::string>& names) {
  if (table.runs.empty()) return;
  std::vector<TextColumn> columns = {{"benchmark"}, {printable(names[0])}};
  for (std::size_t i = 1; i < table.runs.size(); ++i) {
    columns.push_back({printable(names[table.runs[i]])});
    columns.push_back({"kept"});
  }
  add_retention_rows(columns, table.visual, "mean, with pictures");
  add_retention_rows(columns, table.text, "mean, text");
  std::cout << "\nWhat was kept of " << printable(names[0]) << '\n';
  print_columns(columns);
}

void print_part(const EvalCompareFlags& flags, const PartComparison& part) {
  std::cout << part.benchmark->title << ", protocol " << part.protocol->name << ", " << part.protocol->headline_name
            << '\n';
  for (const std::string& note : part.set->notes) print_field("note", note);
  for (std::size_t i = 0; i < part.runs.size(); ++i) {
    const ProtocolScore& score = part.runs[i];
    print_field(cat("run ", i + 1), cat(flags.runs[i], part.without_pictures[i] ? ", without pictures" : ""));
    print_field("", cat(metric_text(score.headline.value, score.headline.unit), " (",
                        interval_text(score.interval, score.headline.unit), "), ", score.answered, " answered, ",
                        score.empty, " empty, ", score.unparsed, " unparsed, ", score.cut, " cut"));
  }
  for (std::size_t i = 0; i < part.differences.size(); ++i) {
    const RunDifference& difference = part.differences[i];
    std::string changes;  // a text as a whole is neither right nor wrong
    if (part.protocol->kind != AnswerKind::kRolling) {
      changes = cat(", ", difference.better.size(), " better, ", difference.worse.size(), " worse");
    }
    print_field(cat("run ", i + 2, " - run 1"),
                cat(paired_text(part, difference), ", ", counted(difference.questions, "question"), changes));
    print_changed("better", difference.better, flags.changed);
    print_changed("worse", difference.worse, flags.changed);
  }
  print_picture_uses(part);
}

json changed_json(const std::vector<ChangedQuestion>& questions) {
  json list = json::array();
  for (const ChangedQuestion& changed : questions) {
    list.push_back({{"question", changed.question->id},
                    {"references", changed.question->references},
                    {"before", {{"score", changed.before}, {"parsed", changed.parsed_before}}},
                    {"after", {{"score", changed.after}, {"parsed", changed.parsed_after}}}});
  }
  return list;
}

json part_json(const EvalCompareFlags& flags, const PartComparison& part) {
  json runs = json::array(), differences = json::array();
  for (std::size_t i = 0; i < part.runs.size(); ++i) {
    json run = score_json(part.runs[i]);
    run["run"] = flags.runs[i];
    run["without_pictures"] = static_cast<bool>(part.without_pictures[i]);
    runs.push_back(std::move(run));
  }
  for (std::size_t i = 0; i < part.differences.size(); ++i) {
    const RunDifference& difference = part.differences[i];
    differences.push_back({{"run", flags.runs[i + 1]},
                           {"questions", difference.questions},
                           {"first", difference.first},
                           {"second", difference.second},
                           {"difference", difference.difference},
                           {"interval", interval_json(difference.interval)},
                           {"better", changed_json(difference.better)},
                           {"worse", changed_json(difference.worse)}});
  }
  json uses = json::array();
  for (const PictureUse& use : part.picture_uses) {
    uses.push_back({{"run", flags.runs[use.with]},
                    {"twin", flags.runs[use.without]},
                    {"with", use.difference.second},
                    {"without", use.difference.first},
                    {"difference", use.difference.difference},
                    {"interval", interval_json(use.difference.interval)},
                    {"looked", use.looked()},
                    {"verdict", picture_verdict(use)}});
  }
  return {{"benchmark", part.benchmark->name}, {"protocol", part.protocol->name},
          {"version", part.protocol->version}, {"runs", runs},
          {"differences", differences},        {"pictures", uses}};
}

json retention_json(const EvalCompareFlags& flags, const Retention& table) {
  json runs = json::array(), rows = json::array();
  for (const std::size_t run : table.runs) runs.push_back(flags.runs[run]);
  json means = json::object();
  for (const auto& [kind, list] : {std::pair("visual", &table.visual), {"text", &table.text}}) {
    for (const RetentionRow& row : *list) {
      rows.push_back({{"benchmark", row.part->benchmark->name},
                      {"protocol", row.part->protocol->name},
                      {"kind", kind},
                      {"values", row.values},
                      {"kept", row.kept}});
    }
    means[kind] = json::array();
    for (std::size_t i = 0; i < table.runs.size() && !list->empty(); ++i) means[kind].push_back(mean_kept(*list, i));
  }
  return {{"runs", runs}, {"rows", rows}, {"mean_kept", means}};
}

void write_compare_page(const EvalCompareFlags& flags, const CompareRequest& request,
                        const std::vector<PartComparison>& parts, AtomicFile& file) {
  const std::vector<std::string> names = flags.names();
  RunPage page{.title = cat("Comparison: ", join(names, ", ")),
               .resampling = request.resampling,
               .questions = flags.page.questions};
  for (std::size_t i = 0; i < flags.runs.size(); ++i) page.facts.emplace_back(cat("run ", i + 1), flags.runs[i]);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    page.parts.push_back(page_part(parts[i], names));
    page.parts.back().picture = small_pictures(
        parts[i].set->pictures, flags.page.folders(flags.runs[0], parts[i].benchmark->name, request.parts[i].data));
  }
  file.write(run_page(page));
  file.commit();
}

void run_eval_compare(const EvalCompareFlags& flags, const CLI::App& command) {
  if (flags.json) {
    refuse_unread(command, {"--changed"}, "does not apply to --json",
                  "leave it out: --json has every changed question");
  }
  CompareRequest request = request_of(flags);
  if (request.parts.empty()) request.parts = evaluated_parts(request.runs.front());
  const auto page = flags.page.open(command);
  const std::vector<PartComparison> parts = compare_runs(request);
  std::vector<const PartComparison*> all;
  for (const PartComparison& part : parts) all.push_back(&part);
  const Retention table = retention(all);
  if (page != nullptr) write_compare_page(flags, request, parts, *page);
  if (flags.json) {
    json list = json::array();
    for (const PartComparison& part : parts) list.push_back(part_json(flags, part));
    print_eval_json({{"seed", request.resampling.seed},
                     {"draws", request.resampling.draws},
                     {"benchmarks", list},
                     {"retention", retention_json(flags, table)}});
    return;
  }
  for (const PartComparison& part : parts) {
    if (&part != &parts.front()) std::cout << '\n';
    print_part(flags, part);
  }
  if (parts.size() > 1) print_retention(table, flags.names());
  std::cout << "\nintervals: " << interval_words(request.resampling) << '\n';
  std::cout.flush();
}

}  // namespace

void add_eval_compare(CLI::App& eval, Invocation& run) {
  const auto flags = std::make_shared<EvalCompareFlags>();
  CLI::App* command = eval.add_subcommand("compare", "Show what changed from the first run to the others");
  command
      ->add_option("runs", flags->runs,
                   "Folders of runs, or files of answers; the first is what others are compared to")
      ->type_name("RUN")
      ->required()
      ->expected(2, CLI::detail::expected_max_vector_size);
  command->add_option("--benchmark", flags->benchmark, "What was asked; default: what run.json of the first run says")
      ->type_name("NAME");
  command->add_option("--data", flags->data, "The folder of the benchmark's files")->type_name("DIR");
  command->add_option("--protocol", flags->protocol, "By which rules")->type_name("NAME");
  command->add_option("--changed", flags->changed, "How many changed questions to show of each sort")
      ->check(whole_number(0, kMostSamples))
      ->capture_default_str();
  flags->resampling.add_to(*command);
  flags->page.add_to(*command);
  flags->bad_rows.add_to(*command);
  command->add_flag("--json", flags->json, "Print one JSON object, with every changed question, and nothing else");
  command->footer(example("striate eval compare base tuned --benchmark gqa --data gqa --protocol llava"));
  command->callback([flags, command, &run] { run.action = [flags, command] { run_eval_compare(*flags, *command); }; });
}

}  // namespace striate::app

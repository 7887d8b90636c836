#include "striate/answers/compare.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "striate/answers/metrics.h"
#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

// The same questions, in the same order, of two runs.
struct Pairs {
  std::vector<Scored> first{}, second{};
};

Pairs paired(const ProtocolScore& first, const ProtocolScore& second) {
  std::unordered_map<const Question*, const Scored*> of_first;
  for (const Scored& item : first.items) of_first[item.question] = &item;
  Pairs pairs;
  for (const Scored& item : second.items) {
    const auto found = of_first.find(item.question);
    if (found == of_first.end() || !item.answered || !found->second->answered) continue;
    pairs.first.push_back(*found->second);
    pairs.second.push_back(item);
  }
  return pairs;
}

RunDifference difference_of(const Protocol& protocol, const Pairs& pairs, const Resampling& resampling) {
  const auto headline = [&](std::span<const Scored> items, std::span<const double> weights) {
    return protocol.headline ? protocol.headline(items, weights) : mean_score(items, weights);
  };
  const std::vector<double> weights = ones(pairs.first.size());
  RunDifference out;
  out.questions = static_cast<std::int64_t>(pairs.first.size());
  out.first = headline(pairs.first, weights);
  out.second = headline(pairs.second, weights);
  out.difference = out.second - out.first;
  out.interval = resampled(pairs.first, resampling, [&](std::span<const double> drawn) {
    return headline(pairs.second, drawn) - headline(pairs.first, drawn);
  });
  for (std::size_t i = 0; i < pairs.first.size(); ++i) {
    const Judgement &before = pairs.first[i].judgement, &after = pairs.second[i].judgement;
    if (before.score == after.score) continue;
    std::vector<ChangedQuestion>& list = after.score > before.score ? out.better : out.worse;
    list.push_back({pairs.first[i].question, before.score, after.score, before.parsed, after.parsed});
  }
  return out;
}

// What a run's run.json says of how it asked; empty for files of answers, and for what it does not list.
struct RunNote {
  bool without_pictures = false;
  std::int64_t limit = 0;  // EvaluatedPart::limit
  std::string model{};     // what was asked: "model" and "adapter" as JSON
};

RunNote run_note(const std::filesystem::path& run, const std::string& benchmark) {
  if (!is_folder(run) || !is_file(run / "run.json")) return {};
  RunNote note;
  for (const EvaluatedPart& part : evaluated_parts(run)) {
    if (part.benchmark != benchmark) continue;
    note.without_pictures = part.without_pictures;
    note.limit = part.limit;
  }
  const nlohmann::json record = read_json_file(run / "run.json", kHistoryJson);
  for (const char* name : {"model", "adapter"}) note.model += record.value(name, nlohmann::json()).dump() + "\n";
  return note;
}

// Each run that was asked without pictures, against the first one of the same model that saw them.
std::vector<PictureUse> picture_uses(const PartComparison& part, const std::vector<RunNote>& notes,
                                     const Resampling& resampling) {
  std::vector<PictureUse> uses;
  if (!is_visual(*part.benchmark, *part.set)) return uses;
  for (std::size_t without = 0; without < notes.size(); ++without) {
    if (!notes[without].without_pictures) continue;
    const auto with = std::ranges::find_if(
        notes, [&](const RunNote& note) { return !note.without_pictures && note.model == notes[without].model; });
    if (with == notes.end()) continue;
    PictureUse use{static_cast<std::size_t>(with - notes.begin()), without};
    const Pairs pairs = paired(part.runs[without], part.runs[use.with]);
    if (pairs.first.empty()) continue;
    use.difference = difference_of(*part.protocol, pairs, resampling);
    uses.push_back(std::move(use));
  }
  return uses;
}

PartComparison compare_part(const CompareRequest& request, const EvaluatedPart& part) {
  PartComparison out;
  out.benchmark = &find_benchmark(part.benchmark);
  out.protocol = &find_protocol(*out.benchmark, part.protocol);
  out.set = std::make_unique<const QuestionSet>(read_questions(*out.benchmark, part.data, request.on_bad_row));
  if (out.set->no_references) throw Error(*out.set->no_references);
  std::vector<RunNote> notes;
  for (const auto& run : request.runs) {
    out.files.push_back(std::make_unique<const AnswerFile>(read_answers(run, out.benchmark->name)));
    notes.push_back(run_note(run, out.benchmark->name));
    out.runs.push_back(score_answers(*out.benchmark, *out.protocol, *out.set, *out.files.back(), request.resampling,
                                     notes.back().limit));
    out.without_pictures.push_back(notes.back().without_pictures);
  }
  for (std::size_t i = 1; i < out.runs.size(); ++i) {
    const Pairs pairs = paired(out.runs[0], out.runs[i]);
    if (pairs.first.empty()) {
      throw invalid_input(
          cat(request.runs[0].string(), " and ", request.runs[i].string(), ": no question was answered in both"),
          "compare runs over the same questions");
    }
    out.differences.push_back(difference_of(*out.protocol, pairs, request.resampling));
  }
  out.picture_uses = picture_uses(out, notes, request.resampling);
  return out;
}

}  // namespace

std::string picture_verdict(const PictureUse& use) {
  if (!std::isfinite(use.difference.interval.low)) return "not known: there is no interval";
  if (use.looked()) return "looks at the pictures";
  return use.difference.interval.high < 0 ? "the score is higher without the pictures" : "did not look";
}

bool is_visual(const Benchmark& benchmark, const QuestionSet& set) {
  if (benchmark.pictures.empty()) return false;
  const bool shown = std::ranges::any_of(set.questions, [](const Question& one) { return !one.pictures.empty(); });
  const bool known = std::ranges::any_of(set.questions, [](const Question& one) { return !one.text.empty(); });
  return shown || !known;  // files of right answers alone (MMMU's) do not say what is shown
}

std::vector<EvaluatedPart> evaluated_parts(const std::filesystem::path& run) {
  const std::filesystem::path path = run / "run.json";
  if (!path_exists(run)) throw path_error(run, ENOENT);  // as read_answers() says it of the other runs
  if (!is_file(path)) {
    throw invalid_input(cat(run.string(), ": there is no run.json that says what was evaluated"),
                        "give `benchmark`, `data` and `protocol`");
  }
  std::vector<EvaluatedPart> parts;
  const auto rows = open_rows(path, "benchmarks");
  while (const auto row = rows->next()) {
    if (!row->key.empty()) continue;  // the file has no such list, and this is a member of the whole
    const bool without = has(*row, "without_pictures") && row->fields.at("without_pictures") == true;
    const std::int64_t limit = has(*row, "limit") ? whole_of(*row, "limit") : 0;
    parts.push_back({text_of(*row, "name"), text_of(*row, "data"), text_of(*row, "protocol"),
                     text_of(*row, "pictures", ""), without, limit});
  }
  if (parts.empty()) {
    throw corrupt_data(path.string() + ": it does not list the benchmarks of the run",
                       "give `benchmark`, `data` and `protocol`");
  }
  return parts;
}

std::vector<PartComparison> compare_runs(const CompareRequest& request) {
  std::vector<EvaluatedPart> parts = request.parts;
  if (parts.empty()) parts = evaluated_parts(request.runs.front());
  std::vector<PartComparison> all;
  all.reserve(parts.size());
  for (const EvaluatedPart& part : parts) all.push_back(compare_part(request, part));
  return all;
}

}  // namespace striate

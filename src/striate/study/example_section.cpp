// Example questions of a study's page, with their pictures and what models answered.
#include <algorithm>
#include <map>
#include <tuple>

#include "striate/base/files.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/report/example_card.h"
#include "striate/report/html.h"
#include "striate/report/picture_uri.h"
#include "striate/study/report_sections.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;

struct ShownModel {
  std::string name;
  const StudiedModel* model = nullptr;
  bool contrasted = false;  // the evenly spread region or all layers: where they differ is shown first
};

// The first seed of each compared strategy, and the aligned model; the names of those beyond `most` go to `left_out`.
std::vector<ShownModel> shown_models(const StudyView& view, std::size_t most, std::vector<std::string>& left_out) {
  std::vector<ShownModel> out;
  const auto all = view.groups.all(), spread = view.groups.spread(view.groups.quarter());
  const auto add = [&](const ModelGroup& group, bool contrasted) {
    const std::string name = group_name(group, view.groups.setting());
    if (out.size() < most) {
      out.push_back({name, group.models.front(), contrasted});
    } else {
      left_out.push_back(name);
    }
  };
  if (all) add(*all, true);
  if (spread) add(*spread, true);
  if (const auto aligned = view.groups.aligned()) add(*aligned, false);
  for (const ModelGroup& group : compared_strategies(view)) {
    const bool there = (all && group.models == all->models) || (spread && group.models == spread->models);
    if (!there) add(group, false);
  }
  return out;
}

struct ExamplePlace {
  const StudiedBenchmark* benchmark = nullptr;
  std::size_t question = 0;
};

// 0: the contrasted models differ, 1: some differ, 2: none does.
int example_rank(const std::vector<ShownModel>& models, const std::string& benchmark, std::size_t question) {
  double low = 1, high = 0, contrast_low = 1, contrast_high = 0;
  for (const ShownModel& shown : models) {
    const double score = shown.model->benchmarks.at(benchmark).questions[question];
    low = std::min(low, score);
    high = std::max(high, score);
    if (!shown.contrasted) continue;
    contrast_low = std::min(contrast_low, score);
    contrast_high = std::max(contrast_high, score);
  }
  return contrast_low < contrast_high ? 0 : low < high ? 1 : 2;
}

// Kinds of questions take turns, the visual ones first; of each kind those of the lowest rank come first.
std::vector<ExamplePlace> chosen_examples(const StudyView& view, const std::vector<ShownModel>& models,
                                          std::size_t most) {
  std::map<std::tuple<Sense, std::size_t, std::string>, std::vector<std::pair<int, std::size_t>>> kinds;
  for (std::size_t b = 0; b < view.results.benchmarks.size(); ++b) {
    const StudiedBenchmark& benchmark = view.results.benchmarks[b];
    const bool asked =
        std::ranges::all_of(models, [&](const ShownModel& m) { return m.model->benchmarks.contains(benchmark.name); });
    for (std::size_t i = 0; asked && i < benchmark.questions.size(); ++i) {
      kinds[{benchmark.sense, b, benchmark.questions[i].kind}].emplace_back(example_rank(models, benchmark.name, i), i);
    }
  }
  std::vector<std::tuple<std::size_t, std::size_t, std::size_t, std::size_t>> all;  // turn, kind, benchmark, question
  std::size_t kind = 0;
  for (auto& [key, questions] : kinds) {
    std::ranges::sort(questions);
    for (std::size_t turn = 0; turn < questions.size(); ++turn)
      all.emplace_back(turn, kind, std::get<1>(key), questions[turn].second);
    ++kind;
  }
  std::ranges::sort(all);
  std::vector<ExamplePlace> out;
  for (std::size_t i = 0; i < std::min(most, all.size()); ++i)
    out.push_back({&view.results.benchmarks[std::get<2>(all[i])], std::get<3>(all[i])});
  return out;
}

// The picture as text for the page; "" where it is absent, none, or larger than `most`.
std::string picture_text(const fs::path& folder, const std::string& name, std::uint64_t most) {
  if (name.empty()) return "";
  try {
    const fs::path path = fs::path(name).is_absolute() ? fs::path(name) : folder / name;
    if (!is_file(path) || file_size_of(path) > most) return "";
    return picture_uri(read_file(path, most));
  } catch (const Error&) {
    return "";  // a page without it is better than none
  }
}

}  // namespace

std::string examples_html(const StudyView& view, const fs::path& folder, const ExampleLimits& limits) {
  std::vector<std::string> not_shown;
  const std::vector<ShownModel> models = shown_models(view, limits.models, not_shown);
  if (models.empty()) return "";
  std::string cards;
  std::uint64_t bytes = 0;
  std::size_t left_out = 0;
  for (const ExamplePlace& place : chosen_examples(view, models, limits.questions)) {
    const AskedQuestion& question = place.benchmark->questions[place.question];
    ExampleCard card{.id = cat(place.benchmark->name, ", ", question.id),
                     .kind = question.kind,
                     .picture = picture_text(folder, question.picture, limits.picture_bytes),
                     .question = question.text,
                     .reference = question.reference};
    if (bytes + card.picture.size() > limits.pictures_bytes) card.picture.clear();
    bytes += card.picture.size();
    left_out += card.picture.empty() && !question.picture.empty() ? 1 : 0;
    for (const ShownModel& shown : models) {
      const BenchmarkAnswers& answers = shown.model->benchmarks.at(place.benchmark->name);
      card.answers.push_back({shown.name, answers.answers[place.question], answers.questions[place.question]});
    }
    cards += example_card_html(card);
  }
  if (cards.empty()) return "";
  const bool contrast = std::ranges::count(models, true, &ShownModel::contrasted) == 2;
  std::string note = cat(
      "Kinds of questions take turns; of each, those on which ",
      contrast ? "tuning all layers and the evenly spread region differ come first, then those on which other models do"
               : "models differ come first",
      ". One seed of each model.");
  if (!not_shown.empty()) note += cat(" Not shown: ", join(not_shown, "; "), ".");
  if (left_out > 0)
    note += cat(" ", left_out, left_out == 1 ? " picture is" : " pictures are",
                " left out: not found, no picture, or too large.");
  return cat("<section>\n<h2>Questions and answers</h2>\n<p class=\"quiet\">", html_escape(note), "</p>\n", cards,
             "</section>\n");
}

}  // namespace striate::study

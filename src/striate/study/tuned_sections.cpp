// Sections of a study's page: claims, regions, and what differs by strategy, size, data and place.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "striate/base/strings.h"
#include "striate/report/depth_strip.h"
#include "striate/report/dot_plot.h"
#include "striate/report/html.h"
#include "striate/report/line_chart.h"
#include "striate/report/scatter.h"
#include "striate/study/report_sections.h"

namespace striate::study {

const char* const kStudyStyle = R"css(
.lead { font-size: 1.15rem; max-width: 62rem; }
h2.setting { font-size: 1.35rem; border-top: 2px solid var(--line); padding-top: 1rem; }
article.claim { display: block; }
article.claim p { margin: 0 0 .25rem; }
article.claim .verdict { margin-right: .4rem; }
.verdict.open { color: var(--quiet); }
)css";

namespace {

constexpr std::size_t kMostStrips = 40;
constexpr std::size_t kMostLines = 4;  // that a line chart tells apart

std::string label_of(const StudyView& view, const ModelGroup& group) {
  return group_name(group, view.groups.setting());
}

DotRow dot_row(const std::string& name, const Estimate& estimate, bool marked) {
  return {.name = name, .value = estimate.value, .low = estimate.low, .high = estimate.high, .marked = marked};
}

bool is_spread(const ModelGroup& group) {
  return group.first().tuning && (group.tuning().strategy == "uniform" || group.tuning().strategy == "paper");
}

// A dot for each group's mean of one sense.
std::string means_plot(const StudyView& view, const std::vector<ModelGroup>& groups, Sense sense, const char* title) {
  DotPlot plot{.title = title,
               .note = cat("Means over seeds and ", name(sense), " benchmarks. ", kBars),
               .x_name = cat(name(sense), " mean, %"),
               .reference_meaning = "all layers",
               .mark_meaning = "evenly spread"};
  bool any = false;
  for (const ModelGroup& group : groups) {
    const Estimate mean = view.statistics.mean(group, sense);
    any = any || mean.measured();
    plot.rows.push_back(dot_row(label_of(view, group), mean, is_spread(group)));
  }
  if (const auto all = view.groups.all()) plot.reference = view.statistics.mean(*all, sense).value;
  return any ? dot_plot_html(plot) : "";
}

std::string differences_plot(const StudyView& view, const ModelGroup& against, const char* words) {
  DotPlot plot{.title = cat("Difference from ", words),
               .note = cat("Paired: the same questions and the same seeds of both models. ", kBars),
               .x_name = "difference of the visual means, points",
               .reference = 0,
               .reference_meaning = "no difference",
               .mark_meaning = "evenly spread"};
  bool any = false;
  for (const ModelGroup& group : compared_strategies(view)) {
    if (group.models == against.models) continue;
    const Estimate difference = view.statistics.difference(group, against, Sense::kVisual);
    any = any || difference.measured();
    plot.rows.push_back(dot_row(label_of(view, group), difference, is_spread(group)));
  }
  return any ? dot_plot_html(plot) : "";
}

std::string table_if_any(const ResultTable& table) {
  return table.empty() ? "" : table_html(table);
}

// Groups along one number, a line for each strategy.
std::string curve_html(const StudyView& view, LineChart chart, const std::vector<ModelGroup>& groups,
                       const std::function<double(const ModelGroup&)>& place) {
  std::map<std::string, std::vector<const ModelGroup*>> lines;
  std::vector<std::string> order;
  for (const ModelGroup& group : groups) {
    const std::string& strategy = group.tuning().strategy;
    if (!lines.contains(strategy)) order.push_back(strategy);
    lines[strategy].push_back(&group);
  }
  std::vector<LineGroup> out;
  for (const std::string& strategy : order) {
    LineSeries series{.name = strategy};
    std::ranges::sort(lines[strategy], {}, [&](const ModelGroup* group) { return place(*group); });
    for (const ModelGroup* group : lines[strategy]) {
      const Estimate mean = view.statistics.mean(*group, Sense::kVisual);
      series.x.push_back(place(*group));
      series.y.push_back(mean.value);
      series.low.push_back(mean.low);
      series.high.push_back(mean.high);
    }
    if (std::ranges::any_of(series.y, [](double value) { return std::isfinite(value); }))
      out.push_back({std::move(series)});
  }
  chart.folded = true;
  return charts_of(chart, out);
}

// The tuned groups of the usual offset and linears, one for each place.
std::vector<ModelGroup> usual_groups(const StudyView& view, const std::function<bool(const ModelGroup&)>& wanted) {
  std::vector<ModelGroup> out;
  for (const ModelGroup& group : view.groups.of(Treatment::kTuned)) {
    const Tuning& t = group.tuning();
    const auto chosen = view.groups.tuned({t.strategy, group.tuned_layers(), t.data_fraction});
    if (t.offset == 0 && t.modules == "all" && chosen && chosen->models == group.models && wanted(group))
      out.push_back(group);
  }
  return out;
}

// How far the loss on held-out texts is below what it was before; with Student's interval over seeds.
Estimate fall_of_loss(const StudyResults& results, const ModelGroup& group, const ModelGroup& before) {
  return over_seeds(std::array{group, before}, mean_loss(results, Sense::kText),
                    [](std::span<const double> losses) { return losses[1] - losses[0]; });
}

std::string claim_card(const Claim& claim) {
  const char* kind = claim.verdict == Verdict::kHolds         ? "right"
                     : claim.verdict == Verdict::kDoesNotHold ? "wrong"
                                                              : "open";
  const bool sign = claim.unit == "points" || claim.unit == "nats";
  std::string html = cat("<article class=\"claim\"><p><span class=\"verdict ", kind, "\">", name(claim.verdict),
                         "</span>(", claim.letter, ") ", html_escape(claim.text), "</p>\n<p>");
  if (claim.verdict == Verdict::kNotMeasured) {
    html += html_escape(claim.missing);
  } else {
    html +=
        cat("<b>", html_escape(estimate_text(claim.estimate, claim.unit, sign)), "</b> ", html_escape(claim.quantity));
    if (claim.estimate.seeds > 1) html += cat(", ", claim.estimate.seeds, " seeds");
    if (claim.estimate.seeds == 1 && claim.estimate.benchmarks > 0 && claim.estimate.has_interval())
      html += "; one seed: the interval is over questions alone";
  }
  html += cat("</p>\n<p class=\"quiet\">Rule: ", html_escape(claim.rule), ".");
  if (!claim.paper.empty()) html += cat(" Reported by the paper (via a note): ", html_escape(claim.paper), ".");
  return html + "</p></article>\n";
}

}  // namespace

std::string charts_of(const LineChart& chart, const std::vector<LineGroup>& groups) {
  std::vector<LineChart> parts;
  std::vector<double> covered;
  for (const LineGroup& group : groups) {
    for (std::size_t i = 0; i < group.size(); ++i) {
      const bool begins = i == 0 && !parts.empty() && parts.back().series.size() + group.size() > kMostLines;
      if (parts.empty() || begins || parts.back().series.size() == kMostLines) {
        parts.push_back(chart);
        parts.back().series.clear();
      }
      parts.back().series.push_back(group[i]);
      for (const auto* values : {&group[i].y, &group[i].low, &group[i].high})
        covered.insert(covered.end(), values->begin(), values->end());
    }
  }
  std::string html;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts.size() > 1) parts[i].title += cat(" (", i + 1, " of ", parts.size(), ")");
    parts[i].y_covered = covered;
    html += line_chart_html(parts[i]);
  }
  return html;
}

std::string claims_html(const std::vector<Claim>& claims) {
  std::string html =
      "<section>\n<h2>The paper's claims, tested</h2>\n<p class=\"quiet\">Each verdict follows from the 95% interval "
      "by "
      "the rule next to it, and from nothing else. Intervals are not corrected for the number of claims: of twenty, "
      "one "
      "may be wrong by chance.</p>\n";
  for (const Claim& claim : claims) html += claim_card(claim);
  return html + "</section>\n";
}

std::string regions_html(const StudyView& view) {
  std::string strips;
  std::size_t count = 0, left_out = 0;
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> seen;
  for (const ModelGroup& group : view.groups.of(Treatment::kTuned)) {
    for (const StudiedModel* model : group.models) {
      const Tuning& t = *model->tuning;
      if (std::ranges::find(seen, std::pair(t.strategy, t.layers)) != seen.end()) continue;
      seen.emplace_back(t.strategy, t.layers);
      if (++count > kMostStrips) {
        ++left_out;
        continue;
      }
      const std::string words = cat("layers ", layers_text({{model}}), " of ", view.groups.setting().layers);
      strips += depth_strip_html(
          {t.layers_text.empty() ? t.strategy : t.layers_text, words, view.groups.setting().layers, t.layers});
    }
  }
  if (strips.empty()) return "";
  if (left_out > 0) strips += cat("<p class=\"quiet\">", left_out, " more are in tables/models.csv.</p>\n");
  return cat(
      "<section>\n<h2>Regions</h2>\n<p class=\"quiet\">Which layers were tuned; the lowest is at the left.</p>\n",
      strips, "</section>\n");
}

std::string strategies_html(const StudyView& view) {
  const std::vector<ModelGroup> groups = compared_strategies(view);
  std::string html = means_plot(view, groups, Sense::kVisual, "Visual accuracy by strategy");
  if (const auto all = view.groups.all()) html += differences_plot(view, *all, "tuning all layers");
  if (const auto random = view.groups.tuned({.strategy = "random", .layers = view.groups.quarter()}))
    html += differences_plot(view, *random, "layers drawn at random");
  html += means_plot(view, groups, Sense::kText, "Text accuracy by strategy");
  html += table_if_any(strategies_table(view));
  html += table_if_any(paper_strategies_table(view));
  html += table_if_any(paper_text_table(view));
  html += table_if_any(benchmarks_table(view));
  const ResultTable kinds = kinds_table(view);
  return html + (kinds.empty() ? "" : folded_table_html(kinds));
}

std::string plane_html(const StudyView& view) {
  const auto base = view.groups.base(), aligned = view.groups.aligned();
  const auto before = base ? base : aligned, seeing = aligned ? aligned : base;
  if (!before) return "";
  const std::vector<ModelGroup> groups = compared_strategies(view);
  const bool tasks = std::ranges::any_of(groups, [&](const ModelGroup& group) {
    return view.statistics.difference(group, *before, Sense::kText).measured();
  });
  Scatter plane{
      .title = "What was won and what was forgotten",
      .note = cat("Upwards: more visual accuracy than the ", name(seeing->first().treatment),
                  " model's. To the left: ", tasks ? "text accuracy lost" : "a higher loss on held-out texts",
                  " against the ", name(before->first().treatment), " model. The best place is at the top right. ",
                  kBars, tasks ? "" : " Across, they are Student's 95% intervals over seeds."),
      .x_name = tasks ? "change of the text mean, points" : "fall of the loss on held-out texts, nats",
      .y_name = "gain of the visual mean, points"};
  bool any = false;
  for (const ModelGroup& group : groups) {
    const Estimate x =
        tasks ? view.statistics.difference(group, *before, Sense::kText) : fall_of_loss(view.results, group, *before);
    const Estimate y = view.statistics.difference(group, *seeing, Sense::kVisual);
    any = any || (x.measured() && y.measured());
    plane.points.push_back({label_of(view, group), x.value, y.value, x.low, x.high, y.low, y.high});
  }
  return any ? scatter_html(plane) : "";
}

std::string sizes_html(const StudyView& view) {
  const ResultTable table = sizes_table(view);
  if (table.empty()) return "";
  std::map<std::string, int> sizes;
  std::vector<ModelGroup> groups =
      usual_groups(view, [](const ModelGroup& group) { return group.tuning().data_fraction == 1; });
  for (const ModelGroup& group : groups) ++sizes[group.tuning().strategy];
  std::erase_if(groups, [&](const ModelGroup& group) {
    return group.tuning().strategy != "all" && sizes[group.tuning().strategy] < 2;
  });
  const LineChart chart{.title = "Visual accuracy by the number of layers tuned",
                        .note = cat("Means over seeds. ", kBars),
                        .x_name = "layers tuned",
                        .y_name = "visual mean, %"};
  return cat(curve_html(view, chart, groups,
                        [](const ModelGroup& group) { return static_cast<double>(group.tuned_layers()); }),
             table_html(table), table_if_any(paper_sizes_table(view)));
}

std::string data_html(const StudyView& view) {
  const ResultTable table = data_table(view);
  if (table.empty()) return "";
  std::map<std::string, int> fractions;
  std::vector<ModelGroup> groups = usual_groups(view, [&](const ModelGroup& group) {
    return group.tuning().strategy == "all" || group.tuned_layers() == view.groups.quarter();
  });
  for (const ModelGroup& group : groups) ++fractions[group.tuning().strategy];
  std::erase_if(groups, [&](const ModelGroup& group) { return fractions[group.tuning().strategy] < 2; });
  const LineChart chart{.title = "Visual accuracy by the share of the data",
                        .note = cat("Means over seeds; a smaller share is part of every larger one. ", kBars),
                        .x_name = "share of the training data, %",
                        .y_name = "visual mean, %"};
  return cat(
      curve_html(view, chart, groups, [](const ModelGroup& group) { return 100 * group.tuning().data_fraction; }),
      table_html(table));
}

std::string grid_html(const StudyView& view) {
  return table_if_any(offsets_table(view)) + table_if_any(modules_table(view));
}

}  // namespace striate::study

#include "striate/eval/score_report.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "striate/base/strings.h"
#include "striate/model/layer_set.h"
#include "striate/report/depth_strip.h"
#include "striate/report/heat_map.h"
#include "striate/report/line_chart.h"
#include "striate/report/report_page.h"

namespace striate {
namespace {

constexpr const char* kHighChanges =
    " High: the layer changes what passes through it, so it matters. Low: it is a candidate for removal.";
constexpr const char* kHighLooks =
    " High: the layer takes much from the picture. Low: it looks at text. The score says where a layer looks, not how "
    "much it changes.";
constexpr const char* kHighMoved =
    " High: tuning moved the layer far. 0: tuning left it as it was. The score says nothing about a frozen layer.";

struct MetricWords {
  const char* name;
  const char* what;
  const char* high;
};

// In the order people read them.
constexpr std::array<MetricWords, 12> kMetricWords = {{
    {"bi", "Block Influence: 1 minus the cosine of a token's state before and after the layer, mean over all tokens.",
     kHighChanges},
    {"bi_text", "Block Influence over text tokens only.", kHighChanges},
    {"bi_image", "Block Influence over image tokens only.", kHighChanges},
    {"bi_multimodal", "Block Influence with text and image given equal weight: the mean of bi_text and bi_image.",
     kHighChanges},
    {"angular", "Angle between a sample's last token before and after this layer, as a share of a half turn.",
     kHighChanges},
    {"image_attention", "Share of attention that text tokens after a picture put on its image tokens.", kHighLooks},
    {"image_attention_text", "The same share over all text tokens; those before a picture count 0.", kHighLooks},
    {"image_attention_answer", "The same share over the tokens of the answer, whose labels are learned.", kHighLooks},
    {"image_attention_last", "The same share for the last token of a sample.", kHighLooks},
    {"param_change",
     "How far tuning moved the layer's weights: the length of the change over the length of the weights.", kHighMoved},
    {"param_change_mean", "The same ratio for each weight matrix of the layer, averaged.", kHighMoved},
    {"param_change_sum", "The same ratios summed, as the paper authors' script ranks layers.", kHighMoved},
}};

// The metrics that share a chart.
struct MetricChart {
  const char* title;
  const char* y_name;
  std::array<const char*, 4> metrics;
};
constexpr std::array<MetricChart, 4> kCharts = {{
    {"Block Influence over depth", "Block Influence", {"bi", "bi_text", "bi_image", "bi_multimodal"}},
    {"Angular distance over depth", "share of a half turn", {"angular"}},
    {"Attention to the picture over depth",
     "share of attention",
     {"image_attention", "image_attention_text", "image_attention_answer", "image_attention_last"}},
    {"Change of the weights over depth", "relative change", {"param_change", "param_change_mean"}},
}};

std::vector<std::string> numbers(std::int64_t count) {
  std::vector<std::string> out;
  for (std::int64_t i = 0; i < count; ++i) out.push_back(std::to_string(i));
  return out;
}

std::int64_t total(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

// "layer 3 (12), layer 7 (4)".
std::string by_layer(const std::vector<std::int64_t>& counts) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) parts.push_back(cat("layer ", i, " (", counts[i], ")"));
  }
  return join(parts, ", ");
}

// With a capital and a full stop.
std::string sentence(std::string text) {
  if (!text.empty()) text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + ".";
}

// The region of a score file's settings, or none.
struct ScoredRegion {
  std::vector<std::int64_t> layers;
  std::string text;  // "region: layers 0,4 of 8 (from-run)"
};

ScoredRegion region_of(const ScoreFile& scores) {
  const auto found = scores.settings.find("region");
  if (found == scores.settings.end() || !found->is_object()) return {};
  ScoredRegion region;
  for (const nlohmann::json& layer : found->value("layers", nlohmann::json::array())) {
    if (!layer.is_number_integer()) continue;
    const auto number = layer.get<std::int64_t>();
    if (number >= 0 && number < scores.layers) region.layers.push_back(number);
  }
  if (region.layers.empty()) return {};
  region.text = cat(named_layers(region.layers), " of ", scores.layers);
  if (found->contains("spec") && found->at("spec").is_string())
    region.text += cat(" (", found->at("spec").get<std::string>(), ")");
  return region;
}

std::vector<bool> marks(const ScoredRegion& region, std::int64_t layers) {
  std::vector<bool> out(static_cast<std::size_t>(layers), false);
  for (const std::int64_t layer : region.layers) out[static_cast<std::size_t>(layer)] = true;
  return out;
}

constexpr const char* kMarkMeaning = "a layer of the region";

// A table with a row per layer.
HeatMap layers_map(const ScoreFile& scores, const ScoredRegion& region, const char* title, const char* row_name) {
  HeatMap map;
  map.title = title;
  map.row_name = row_name;
  map.rows = numbers(scores.layers);
  map.marked_rows = marks(region, scores.layers);
  map.mark_meaning = kMarkMeaning;
  return map;
}

HeatMap metrics_map(const ScoreFile& scores, const ScoredRegion& region) {
  HeatMap map = layers_map(scores, region, "Scores by layer", "layer");
  map.note =
      scores.samples > 0
          ? "Means over samples; \u00B1 is the standard error of the mean. Two layers whose scores differ by less "
            "than two standard errors of the difference (the root of the sum of both squares) may change places "
            "with other samples."
          : "Computed from the weights, without data.";
  for (const std::string& note : score_notes(scores)) map.note += cat(" ", sentence(note));
  for (const std::string& name : metrics_in_order(scores)) {
    const Score& score = scores.metric(name);
    map.columns.push_back({name, metric_meaning(name), score.mean, score.standard_error});
  }
  return map;
}

HeatMap angular_map(const ScoreFile& scores, const ScoredRegion& region) {
  HeatMap map;
  map.title = "Angular distance by block";
  map.note =
      "How far a block of neighbouring layers turns a sample's last token, as a share of a half turn. The lowest cell "
      "of "
      "a row (\u25BC) is the block of that length whose removal changes the last token's direction least.";
  map.row_name = "block length \\ first layer";
  map.ranks = RankAmong::kRow;
  map.mark_meaning = "a block that begins with a layer of the region";
  const std::vector<bool> marked = marks(region, scores.layers);
  for (const auto& [n, score] : scores.angular) map.rows.push_back(std::to_string(n));
  for (std::int64_t first = 0; first < scores.layers; ++first) {
    HeatColumn column{.name = std::to_string(first), .marked = marked[static_cast<std::size_t>(first)]};
    for (const auto& [n, score] : scores.angular) {
      const bool inside = first < static_cast<std::int64_t>(score.mean.size());
      column.values.push_back(inside ? score.mean[static_cast<std::size_t>(first)]
                                     : std::numeric_limits<double>::quiet_NaN());
    }
    map.columns.push_back(std::move(column));
  }
  return map;
}

HeatMap heads_map(const ScoreFile& scores, const ScoredRegion& region) {
  HeatMap map = layers_map(scores, region, "Image attention by head", "layer \\ head");
  map.note =
      "Share of attention that text tokens after a picture put on its image tokens, for each attention head. No "
      "image-attention code was published with the paper; this definition is Striate's.";
  map.ranks = RankAmong::kTable;
  std::size_t heads = 0;
  for (const Score& layer : scores.image_attention_heads) heads = std::max(heads, layer.mean.size());
  for (std::size_t head = 0; head < heads; ++head) {
    HeatColumn column{.name = std::to_string(head)};
    for (const Score& layer : scores.image_attention_heads) {
      column.values.push_back(head < layer.mean.size() ? layer.mean[head] : std::numeric_limits<double>::quiet_NaN());
    }
    map.columns.push_back(std::move(column));
  }
  return map;
}

HeatMap linears_map(const ScoreFile& scores, const ScoredRegion& region) {
  HeatMap map = layers_map(scores, region, "Change of each weight matrix", "layer");
  map.note =
      "||W' - W|| / ||W||: the length of the change over the length of the weights before tuning, adapters merged.";
  for (const auto& [name, score] : scores.param_change_linears)
    map.columns.push_back({.name = name, .values = score.mean});
  map.ranks = RankAmong::kTable;
  return map;
}

// Whether the values are all above 0 and so far apart that a linear axis would show the highest alone.
bool wants_log_axis(const std::vector<LineSeries>& series) {
  constexpr double kFarApart = 12;
  double low = std::numeric_limits<double>::infinity(), high = 0;
  for (const LineSeries& line : series) {
    for (const double value : line.y) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  return low > 0 && high > kFarApart * low;
}

LineSeries metric_series(const std::string& name, const Score& score) {
  LineSeries line{.name = name, .y = score.mean};
  for (std::size_t layer = 0; layer < score.mean.size(); ++layer) {
    line.x.push_back(static_cast<double>(layer));
    if (score.standard_error.empty()) continue;
    line.low.push_back(score.mean[layer] - 2 * score.standard_error[layer]);
    line.high.push_back(score.mean[layer] + 2 * score.standard_error[layer]);
  }
  return line;
}

std::vector<std::string> charts(const ScoreFile& scores, const ScoredRegion& region) {
  const std::vector<std::string> there = scores.metric_names();
  std::vector<std::string> out;
  for (const MetricChart& group : kCharts) {
    LineChart chart{.title = group.title, .x_name = "layer", .y_name = group.y_name, .table = false};
    bool errors = false;
    for (const char* name : group.metrics) {
      if (name == nullptr || std::find(there.begin(), there.end(), name) == there.end()) continue;
      chart.series.push_back(metric_series(name, scores.metric(name)));
      errors = errors || !chart.series.back().low.empty();
    }
    if (chart.series.empty()) continue;
    if (errors) chart.note = "Bars are two standard errors over samples to either side.";
    chart.logarithmic = wants_log_axis(chart.series);
    for (const std::int64_t layer : region.layers) chart.marked_x.push_back(static_cast<double>(layer));
    chart.mark_meaning = kMarkMeaning;
    out.push_back(line_chart_html(chart));
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> facts(const ScoreFile& scores) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto add = [&](const char* name, const char* key) {
    const auto found = scores.settings.find(key);
    if (found == scores.settings.end() || found->is_null()) return;
    out.emplace_back(name, found->is_string() ? found->get<std::string>() : found->dump());
  };
  add("model", "model");
  add("adapter", "adapter");
  add("base", "base");
  add("data", "data");
  if (scores.samples > 0) out.emplace_back("samples", std::to_string(scores.samples));
  if (scores.tokens) out.emplace_back("tokens", std::to_string(scores.tokens->total));
  add("seed", "seed");
  if (scores.settings.value("after_final_norm", false)) out.emplace_back("last state", "after the final norm");
  if (scores.settings.contains("hardware")) {
    out.emplace_back("computed in", scores.settings["hardware"].value("compute", std::string("?")));
  }
  add("striate", "version");
  return out;
}

}  // namespace

std::string metric_meaning(const std::string& metric) {
  for (const MetricWords& words : kMetricWords) {
    if (metric == words.name) return cat(words.what, words.high);
  }
  return "";
}

std::vector<std::string> metrics_in_order(const ScoreFile& scores) {
  const std::vector<std::string> names = scores.metric_names();
  std::vector<std::string> out;
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const MetricWords& words : kMetricWords) {
    if (has(names, words.name)) out.emplace_back(words.name);
  }
  for (const std::string& name : names) {
    if (!has(out, name)) out.push_back(name);
  }
  return out;
}

std::vector<std::string> score_warnings(const ScoreFile& scores) {
  std::vector<std::string> out;
  if (scores.tokens) {
    const TokenCounts& t = *scores.tokens;
    const auto say = [&](const std::vector<std::int64_t>& counts, const char* what) {
      if (total(counts) > 0) out.push_back(cat(what, ", left out of the means: ", by_layer(counts)));
    };
    say(t.zero_norm, "tokens whose state is zero");
    say(t.not_finite, "tokens whose state is not finite");
    say(t.attention_not_finite, "attention weights that are not finite");
  }
  return out;
}

std::vector<std::string> score_notes(const ScoreFile& scores) {
  std::map<std::int64_t, std::vector<std::string>> by_count;  // fewest samples of any layer
  for (const std::string& name : metrics_in_order(scores)) {
    const std::vector<std::int64_t>& samples = scores.metric(name).samples;
    if (samples.empty()) continue;
    const std::int64_t fewest = *std::min_element(samples.begin(), samples.end());
    if (fewest < scores.samples) by_count[fewest].push_back(name);
  }
  std::vector<std::string> out;
  for (const auto& [count, names] : by_count) {
    out.push_back(
        count == 0 ? cat("for some layers none of the ", scores.samples, " samples has a value of ", join(names, ", "))
                   : cat(count, " of the ", scores.samples, " samples have a value of ", join(names, ", ")));
  }
  return out;
}

std::string score_report(const ScoreFile& scores) {
  const ScoredRegion region = region_of(scores);
  ReportPage page;
  page.title = "Layer scores: " + scores.model;
  page.subtitle = cat(counted(scores.layers, "layer"), ", counted from 0 at the bottom");
  page.facts = facts(scores);
  page.warnings = score_warnings(scores);
  if (!region.layers.empty()) {
    page.sections.push_back(depth_strip_html({"region", region.text, scores.layers, region.layers}));
  }
  for (std::string& chart : charts(scores, region)) page.sections.push_back(std::move(chart));
  const auto add = [&](const HeatMap& map) { page.sections.push_back(heat_map_html(map)); };
  if (!metrics_in_order(scores).empty()) add(metrics_map(scores, region));
  if (!scores.angular.empty()) add(angular_map(scores, region));
  if (!scores.image_attention_heads.empty()) add(heads_map(scores, region));
  if (!scores.param_change_linears.empty()) add(linears_map(scores, region));
  return report_page(page);
}

}  // namespace striate

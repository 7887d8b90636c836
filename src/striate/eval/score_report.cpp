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
#include "striate/report/heat_map.h"

namespace striate {
namespace {

constexpr std::array<std::pair<const char*, const char*>, 12> kMeanings = {{
    {"bi", "Block Influence over all tokens: 1 - cosine of the layer's input and output"},
    {"bi_text", "Block Influence over text tokens"},
    {"bi_image", "Block Influence over image tokens"},
    {"bi_multimodal", "mean of bi_text and bi_image"},
    {"angular", "angular distance of the last token over this layer alone (block length 1)"},
    {"image_attention", "attention that text queries after the image put on image tokens"},
    {"image_attention_text", "the same over all text queries"},
    {"image_attention_answer", "the same over the positions of learned labels"},
    {"image_attention_last", "the same of the last query"},
    {"param_change", "change of the layer's weights as one vector, relative to the base"},
    {"param_change_mean", "mean of the linears' change ratios"},
    {"param_change_sum", "sum of the linears' change ratios, as the authors' script has it"},
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

HeatMap metrics_map(const ScoreFile& scores) {
  HeatMap map;
  map.title = "Scores by layer";
  map.note =
      scores.samples > 0
          ? "Means over samples; \u00B1 is the standard error of the mean. Two layers differ for certain only where "
            "their difference is well above the standard errors of both."
          : "From the weights alone.";
  for (const std::string& note : score_notes(scores)) map.note += cat(" ", sentence(note));
  map.row_name = "layer";
  map.rows = numbers(scores.layers);
  for (const std::string& name : metrics_in_order(scores)) {
    const Score& score = scores.metric(name);
    map.columns.push_back({name, metric_meaning(name), score.mean, score.standard_error});
  }
  return map;
}

HeatMap angular_map(const ScoreFile& scores) {
  HeatMap map;
  map.title = "Angular distance by block";
  map.note =
      "arccos of the cosine between the input of the first layer and the output of the last, at each sample's last "
      "token, divided by \u03C0. The lowest cell of a row is the block of that length whose removal changes the last "
      "token's direction least.";
  map.row_name = "block length \\ first layer";
  map.scale = HeatScale::kTable;
  for (const auto& [n, score] : scores.angular) map.rows.push_back(std::to_string(n));
  for (std::int64_t first = 0; first < scores.layers; ++first) {
    HeatColumn column{.name = std::to_string(first)};
    for (const auto& [n, score] : scores.angular) {
      const bool inside = first < static_cast<std::int64_t>(score.mean.size());
      column.values.push_back(inside ? score.mean[static_cast<std::size_t>(first)]
                                     : std::numeric_limits<double>::quiet_NaN());
    }
    map.columns.push_back(std::move(column));
  }
  return map;
}

HeatMap heads_map(const ScoreFile& scores) {
  HeatMap map;
  map.title = "Image attention by head";
  map.note =
      "The share of attention that text queries after the image put on image tokens. No image-attention code was "
      "published with the paper; this definition is Striate's.";
  map.row_name = "layer \\ head";
  map.scale = HeatScale::kTable;
  map.rows = numbers(scores.layers);
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

HeatMap linears_map(const ScoreFile& scores) {
  HeatMap map;
  map.title = "Change of each linear's weights";
  map.note = "||W' - W|| / ||W||, adapters merged.";
  map.row_name = "layer";
  map.rows = numbers(scores.layers);
  for (const auto& [name, score] : scores.param_change_linears)
    map.columns.push_back({.name = name, .values = score.mean});
  map.scale = HeatScale::kTable;
  return map;
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
  for (const auto& [name, meaning] : kMeanings) {
    if (metric == name) return meaning;
  }
  return "";
}

std::vector<std::string> metrics_in_order(const ScoreFile& scores) {
  const std::vector<std::string> names = scores.metric_names();
  std::vector<std::string> out;
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const auto& [name, meaning] : kMeanings) {
    if (has(names, name)) out.emplace_back(name);
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
    say(t.attention_not_finite, "attention that is not finite");
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
    out.push_back(count == 0 ? cat("no sample of ", scores.samples, " gave a value somewhere: ", join(names, ", "))
                             : cat("over ", count, " of the ", scores.samples, " samples: ", join(names, ", ")));
  }
  return out;
}

std::string score_report(const ScoreFile& scores) {
  HeatMapPage page;
  page.title = "Layer scores: " + scores.model;
  page.subtitle = cat(scores.layers, scores.layers == 1 ? " layer" : " layers", ", counted from 0 at the bottom");
  page.facts = facts(scores);
  page.warnings = score_warnings(scores);
  if (!metrics_in_order(scores).empty()) page.maps.push_back(metrics_map(scores));
  if (!scores.angular.empty()) page.maps.push_back(angular_map(scores));
  if (!scores.image_attention_heads.empty()) page.maps.push_back(heads_map(scores));
  if (!scores.param_change_linears.empty()) page.maps.push_back(linears_map(scores));
  return heat_map_page(page);
}

}  // namespace striate

#include "striate/region/prune_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/region/layer_set.h"

namespace striate {
namespace {

using Layers = std::vector<std::int64_t>;

std::string layer_count(std::int64_t n) {
  return cat(n, n == 1 ? " layer" : " layers");
}

bool holds(const Layers& layers, std::int64_t layer) {
  return std::find(layers.begin(), layers.end(), layer) != layers.end();
}

void check_inside(std::int64_t layers, const Layers& named, const std::string& what) {
  for (const std::int64_t layer : named) {
    if (layer >= 0 && layer < layers) continue;
    throw invalid_input(cat(what, " names layer ", layer, "; the model has layers 0 to ", layers - 1),
                        "layers are counted from 0; striate inspect --model DIR says how many there are");
  }
}

void check_count(const PruneRequest& r) {
  if (r.remove < 0) throw invalid_input(cat("--remove ", r.remove), "give a number from 0 up");
  if (r.remove >= r.layers) {
    throw invalid_input(cat("--remove ", r.remove, ": the decoder has ", layer_count(r.layers), ", and one must stay"),
                        cat("remove ", r.layers - 1, " at most"));
  }
  const auto outside = r.layers - static_cast<std::int64_t>(r.protected_layers.size());
  if (r.remove > outside) {
    throw invalid_input(
        cat("--remove ", r.remove, ": only ", layer_count(outside), " of ", r.layers, outside == 1 ? " lies" : " lie",
            " outside the region ", layer_list_text(r.protected_layers)),
        cat("remove ", outside, " at most, or choose anywhere with --region none"));
  }
}

const ScoreFile& of_this_depth(const PruneRequest& r, const ScoreFile& scores) {
  if (scores.layers == r.layers) return scores;
  throw invalid_input(
      cat(scores.path, ": scores a decoder of ", layer_count(scores.layers), ", this one has ", r.layers),
      cat("score this model: striate score --model DIR ... --out ", scores.path));
}

std::vector<PrunedLayer> single_layers(const PruneRequest& r, const ScoreFile& scores) {
  const std::vector<double>& values = scores.metric(r.metric).mean;
  std::vector<PrunedLayer> candidates;
  std::int64_t unknown = 0;
  for (std::int64_t layer = 0; layer < r.layers; ++layer) {
    if (holds(r.protected_layers, layer)) continue;
    const double value = values[static_cast<std::size_t>(layer)];
    if (std::isfinite(value)) {
      candidates.push_back({layer, value});
    } else {
      ++unknown;
    }
  }
  const auto known = static_cast<std::int64_t>(candidates.size());
  if (known < r.remove) {
    throw invalid_input(cat(scores.path, ": has no value of ", r.metric, " for ", unknown, " of the ",
                            layer_count(known + unknown), " to choose from, and ", r.remove, " are to go"),
                        "score again with samples that give one, or take another --metric");
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const PrunedLayer& a, const PrunedLayer& b) { return a.score < b.score; });
  candidates.resize(static_cast<std::size_t>(r.remove));
  return candidates;
}

std::vector<PrunedLayer> block(const PruneRequest& r, const ScoreFile& scores) {
  if (r.remove == 0) return {};
  const std::int64_t longest = longest_free_block(r.layers, r.protected_layers);
  if (r.remove > longest) {
    throw invalid_input(cat("--contiguous: no ", r.remove, " neighbouring layers lie outside the region ",
                            layer_list_text(r.protected_layers)),
                        cat("the longest block there is has ", layer_count(longest),
                            "; single layers are chosen without --contiguous"));
  }
  const auto found = scores.angular.find(r.remove);
  if (found == scores.angular.end()) {
    throw invalid_input(cat(scores.path, ": has no angular distances of blocks of ", layer_count(r.remove)),
                        "score again: striate score measures every block length");
  }
  const std::vector<double>& values = found->second.mean;
  std::int64_t best = -1;
  for (std::int64_t first = 0; first + r.remove <= r.layers; ++first) {
    const bool touches = std::any_of(r.protected_layers.begin(), r.protected_layers.end(),
                                     [&](std::int64_t p) { return p >= first && p < first + r.remove; });
    const double value = values[static_cast<std::size_t>(first)];
    if (touches || !std::isfinite(value)) continue;
    if (best < 0 || value < values[static_cast<std::size_t>(best)]) best = first;
  }
  if (best < 0) {
    throw invalid_input(
        cat(scores.path, ": has no value for any block of ", layer_count(r.remove), " outside the region"),
        "score again with samples that give one");
  }
  std::vector<PrunedLayer> out;
  for (std::int64_t i = 0; i < r.remove; ++i) out.push_back({best + i, values[static_cast<std::size_t>(best)]});
  return out;
}

}  // namespace

std::vector<PrunedLayer> choose_layers_to_prune(const PruneRequest& request, const ScoreFile& scores) {
  PruneRequest r = request;
  check_inside(r.layers, r.protected_layers, "--region");
  std::sort(r.protected_layers.begin(), r.protected_layers.end());
  if (r.contiguous && r.metric != "angular") {
    throw invalid_input(cat("--contiguous with --metric ", r.metric),
                        "blocks are measured by angular distance alone: --metric angular");
  }
  of_this_depth(r, scores);
  check_count(r);
  return r.contiguous ? block(r, scores) : single_layers(r, scores);
}

std::vector<PrunedLayer> listed_layers_to_prune(const PruneRequest& request, const Layers& layers) {
  check_inside(request.layers, request.protected_layers, "--region");
  check_inside(request.layers, layers, "--layers");
  std::vector<PrunedLayer> out;
  Layers sorted = layers;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  for (const std::int64_t layer : sorted) {
    if (holds(request.protected_layers, layer)) {
      throw invalid_input(cat("--layers: layer ", layer, " is in the region"),
                          "leave it out, or remove layers of the region too with --region none");
    }
    out.push_back({layer, std::numeric_limits<double>::quiet_NaN()});
  }
  if (static_cast<std::int64_t>(out.size()) >= request.layers) {
    throw invalid_input(cat("--layers ", layer_list_text(sorted), ": no layer would be left"), "one must stay");
  }
  return out;
}

Layers ascending_layers(const std::vector<PrunedLayer>& pruned) {
  Layers out;
  for (const PrunedLayer& p : pruned) out.push_back(p.layer);
  std::sort(out.begin(), out.end());
  return out;
}

Layers kept_layers(std::int64_t layers, const Layers& removed) {
  Layers out;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    if (!holds(removed, layer)) out.push_back(layer);
  }
  return out;
}

std::int64_t longest_free_block(std::int64_t layers, const Layers& protected_layers) {
  std::int64_t longest = 0, run = 0;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    run = holds(protected_layers, layer) ? 0 : run + 1;
    longest = std::max(longest, run);
  }
  return longest;
}

}  // namespace striate

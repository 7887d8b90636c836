#include "striate/region/prune_choice.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

void check_count(const PruneCriteria& r) {
  if (r.remove < 0) throw invalid_input(cat("`remove` ", r.remove, " is below 0"), "give 0 or more");
  if (r.remove >= r.protected_layers.depth()) {
    throw invalid_input(cat("`remove` ", r.remove, ": the decoder has ", counted(r.protected_layers.depth(), "layer"),
                            ", and one must stay"),
                        cat("remove at most ", r.protected_layers.depth() - 1));
  }
  const auto outside = r.protected_layers.depth() - r.protected_layers.count();
  if (r.remove > outside) {
    throw invalid_input(
        cat("`remove` ", r.remove, ": only ", counted(outside, "layer"), " of ", r.protected_layers.depth(),
            outside == 1 ? " lies" : " lie", " outside the region ", r.protected_layers.list()),
        cat("remove at most ", outside, ", or allow any layer with `region` none"));
  }
}

// The first thing that tells the decoder of the scores from this one, and its value in both.
std::string difference(const DecoderShape& of_scores, const DecoderShape& own) {
  struct Part {
    const char* name;
    std::int64_t DecoderShape::*value;
  };
  for (const Part& part : {Part{"width", &DecoderShape::hidden}, Part{"MLP width", &DecoderShape::mlp},
                           Part{"number of heads", &DecoderShape::heads}}) {
    if (of_scores.*part.value != own.*part.value)
      return cat(part.name, ": ", of_scores.*part.value, ", where this one has ", own.*part.value);
  }
  return cat("number of key and value heads: ", of_scores.kv_heads, ", where this one has ", own.kv_heads);
}

void check_scores(const PruneCriteria& r, const ScoreFile& scores) {
  const std::string hint = cat("score this model: striate score `model` DIR ... `out` ", scores.path);
  if (scores.layers != r.protected_layers.depth()) {
    throw invalid_input(cat(scores.path, ": is for a decoder of ", counted(scores.layers, "layer"),
                            ", but this decoder has ", r.protected_layers.depth()),
                        hint);
  }
  if (r.decoder && scores.decoder && *r.decoder != *scores.decoder) {
    throw invalid_input(cat(scores.path, ": is for a decoder of another ", difference(*scores.decoder, *r.decoder)),
                        hint);
  }
}

// Layers that may go, the lowest score first; and how many have no score.
struct Candidates {
  std::vector<PrunedLayer> known;
  std::int64_t unknown = 0;
};

Candidates candidates_of(const PruneCriteria& r, const ScoreFile& scores) {
  const std::vector<double>& values = scores.metric(r.metric).mean;
  Candidates candidates;
  for (std::int64_t layer = 0; layer < r.protected_layers.depth(); ++layer) {
    if (r.protected_layers.contains(layer)) continue;
    const double value = values[static_cast<std::size_t>(layer)];
    if (std::isfinite(value)) {
      candidates.known.push_back({layer, value});
    } else {
      ++candidates.unknown;
    }
  }
  std::stable_sort(candidates.known.begin(), candidates.known.end(),
                   [](const PrunedLayer& a, const PrunedLayer& b) { return a.score < b.score; });
  return candidates;
}

// Those without a neighbour among the ones before.
std::vector<PrunedLayer> without_neighbours(const std::vector<PrunedLayer>& candidates) {
  std::vector<PrunedLayer> out;
  for (const PrunedLayer& candidate : candidates) {
    const bool beside = std::any_of(
        out.begin(), out.end(), [&](const PrunedLayer& gone) { return std::abs(gone.layer - candidate.layer) == 1; });
    if (!beside) out.push_back(candidate);
  }
  return out;
}

std::vector<PrunedLayer> single_layers(const PruneCriteria& r, const ScoreFile& scores) {
  Candidates candidates = candidates_of(r, scores);
  const auto known = static_cast<std::int64_t>(candidates.known.size());
  if (known < r.remove) {
    throw invalid_input(
        cat(scores.path, ": has no value of ", r.metric, " for ", candidates.unknown, " of the ",
            counted(known + candidates.unknown, "layer"), " to choose from, and ", r.remove, " should be removed"),
        "measure the scores again with samples that give one, or use another `metric`");
  }
  if (r.spaced) {
    candidates.known = without_neighbours(candidates.known);
    const auto apart = static_cast<std::int64_t>(candidates.known.size());
    if (apart < r.remove) {
      throw invalid_input(
          cat("`spaced`: only ", counted(apart, "layer"), " can go, the lowest score first, without two ",
              "neighbours among them, and ", r.remove, " should be removed"),
          cat("remove at most ", apart, ", or leave out `spaced`"));
    }
  }
  candidates.known.resize(static_cast<std::size_t>(r.remove));
  return candidates.known;
}

std::vector<PrunedLayer> block(const PruneCriteria& r, const ScoreFile& scores) {
  if (r.remove == 0) return {};
  const std::int64_t longest = longest_free_block(r.protected_layers);
  if (r.remove > longest) {
    throw invalid_input(
        cat("`contiguous`: no ", r.remove, " neighbouring layers lie outside the region ", r.protected_layers.list()),
        cat("the longest block has ", counted(longest, "layer"), "; without `contiguous` single layers are removed"));
  }
  const auto found = scores.angular.find(r.remove);
  if (found == scores.angular.end()) {
    throw invalid_input(cat(scores.path, ": has no angular distances of blocks of ", counted(r.remove, "layer")),
                        "measure the scores again: striate score measures every block length");
  }
  const std::vector<double>& values = found->second.mean;
  std::int64_t best = -1;
  for (std::int64_t first = 0; first + r.remove <= r.protected_layers.depth(); ++first) {
    const bool touches = std::any_of(r.protected_layers.begin(), r.protected_layers.end(),
                                     [&](std::int64_t p) { return p >= first && p < first + r.remove; });
    const double value = values[static_cast<std::size_t>(first)];
    if (touches || !std::isfinite(value)) continue;
    if (best < 0 || value < values[static_cast<std::size_t>(best)]) best = first;
  }
  if (best < 0) {
    throw invalid_input(
        cat(scores.path, ": has no value for any block of ", counted(r.remove, "layer"), " outside the region"),
        "measure the scores again with samples that give one");
  }
  std::vector<PrunedLayer> out;
  for (std::int64_t i = 0; i < r.remove; ++i) out.push_back({best + i, values[static_cast<std::size_t>(best)]});
  return out;
}

}  // namespace

std::vector<PrunedLayer> choose_layers_to_prune(const PruneCriteria& criteria, const ScoreFile& scores) {
  if (criteria.contiguous && criteria.metric != "angular") {
    throw invalid_input(cat("`contiguous` does not work with `metric` ", criteria.metric),
                        "only the angular distance measures blocks: `metric` angular");
  }
  if (criteria.contiguous && criteria.spaced) {
    throw invalid_input("`spaced` and `contiguous` exclude each other",
                        "a block is made of neighbours: leave out one of them");
  }
  check_scores(criteria, scores);
  check_count(criteria);
  return criteria.contiguous ? block(criteria, scores) : single_layers(criteria, scores);
}

std::int64_t most_to_prune(const PruneCriteria& criteria, const ScoreFile& scores) {
  check_scores(criteria, scores);
  if (criteria.contiguous) return longest_free_block(criteria.protected_layers);
  const Candidates candidates = candidates_of(criteria, scores);
  const std::vector<PrunedLayer>& all = candidates.known;
  const auto most = static_cast<std::int64_t>(criteria.spaced ? without_neighbours(all).size() : all.size());
  return std::min(most, criteria.protected_layers.depth() - 1);
}

std::vector<PrunedLayer> choose_layers_iteratively(const PruneCriteria& criteria,
                                                   const std::function<ScoreFile(const LayerSet& gone)>& score) {
  if (criteria.contiguous) {
    throw invalid_input("`iterative` and `contiguous` exclude each other",
                        "a block is removed at once: leave out one of them");
  }
  if (criteria.spaced) {
    throw invalid_input("`iterative` and `spaced` exclude each other",
                        "scores that are measured again see what was removed already: leave out one of them");
  }
  check_count(criteria);
  const LayerSet& region = criteria.protected_layers;
  std::vector<PrunedLayer> out;
  for (std::int64_t round = 0; round < criteria.remove; ++round) {
    const LayerSet gone = layers_of(out, region.depth());
    const LayerSet left = gone.complement();
    std::vector<std::int64_t> still_protected;  // by the numbers of what is left
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (region.contains(left[i])) still_protected.push_back(static_cast<std::int64_t>(i));
    }
    PruneCriteria one = criteria;
    one.remove = 1;
    one.protected_layers = LayerSet(left.count(), std::move(still_protected));
    PrunedLayer next = choose_layers_to_prune(one, score(gone)).front();
    next.layer = left[static_cast<std::size_t>(next.layer)];
    out.push_back(next);
  }
  return out;
}

std::vector<PrunedLayer> listed_layers_to_prune(const PruneCriteria& criteria, const LayerSet& layers) {
  std::vector<PrunedLayer> out;
  for (const std::int64_t layer : layers) {
    if (criteria.protected_layers.contains(layer)) {
      throw invalid_input(cat("`layers`: layer ", layer, " is in the region"),
                          "leave it out, or allow layers of the region with `region` none");
    }
    out.push_back({layer, std::numeric_limits<double>::quiet_NaN()});
  }
  if (layers.count() >= layers.depth()) {
    throw invalid_input(cat("`layers` ", layers.list(), ": no layer would be left"), "leave at least one layer");
  }
  return out;
}

LayerSet layers_of(const std::vector<PrunedLayer>& pruned, std::int64_t depth) {
  std::vector<std::int64_t> layers;
  for (const PrunedLayer& p : pruned) layers.push_back(p.layer);
  return {depth, std::move(layers)};
}

std::int64_t longest_free_block(const LayerSet& protected_layers) {
  std::int64_t longest = 0, run = 0;
  for (std::int64_t layer = 0; layer < protected_layers.depth(); ++layer) {
    run = protected_layers.contains(layer) ? 0 : run + 1;
    longest = std::max(longest, run);
  }
  return longest;
}

}  // namespace striate

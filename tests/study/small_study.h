// A small study with numbers made by hand, for the tests of what is computed from results.
#pragma once

#include <functional>

#include "striate/study/results.h"

namespace striate::study::test {

// How many of 100 questions a model answers rightly, for a strategy and a seed; which ones is fixed by both.
struct SmallScores {
  double visual = 0, text = 0;  // shares
};

// 8 layers; the benchmarks "see" (visual, 100 questions, two kinds, one picture for two questions) and "facts" (text,
// 100 questions). A base, an aligned model, and tunings of all, uniform, bottom, top and random (two draws) with the
// seeds 1, 2, 3, each with losses, time, a curve; layer scores of those with seed 1.
StudyResults small_study(const std::function<SmallScores(const std::string& strategy, std::uint64_t seed)>& scores);

// The same with: base 0.1/0.9, aligned 0.3/0.9, all 0.8/0.6, uniform 0.8/0.8, bottom 0.6/0.8, top 0.5/0.85,
// random 0.7/0.8.
StudyResults small_study();

// The model of uniform and seed 1 of a small study, as if it had been tuned at another learning rate.
StudiedModel at_another_rate(const StudyResults& study);

// The small study with everything else: sizes, shares of the data, offsets, kinds of linears, a search for a learning
// rate, reversion, pruning by two metrics, healing, scores, costs, a failed cell, and answers that try to be markup.
StudyResults rich_study();

// A model of the study, of the small one's shapes, with so many right answers.
StudiedModel small_model(const StudyResults& study, const std::string& cell, Treatment treatment,
                         const SmallScores& scores, std::uint64_t seed);
Tuning small_tuning(const std::string& strategy, std::vector<std::int64_t> layers, std::uint64_t seed);

}  // namespace striate::study::test

// Numbers over many judged answers.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "striate/answers/benchmark.h"
#include "striate/answers/question.h"

namespace striate {

// The mean of the scores x 100; NaN of none.
double mean_score(std::span<const Scored> items, std::span<const double> weights);
double mean_score(std::span<const Scored> items);

// Of yes-or-no answers, "yes" being positive.
struct YesNoCounts {
  double true_yes = 0, false_yes = 0, true_no = 0, false_no = 0;
  double all() const { return true_yes + false_yes + true_no + false_no; }
  // Shares; NaN where the script would divide by zero.
  double precision() const { return true_yes / (true_yes + false_yes); }
  double recall() const { return true_yes / (true_yes + false_no); }
  double f1() const { return 2 * precision() * recall() / (precision() + recall()); }
  double yes_share() const { return (true_yes + false_yes) / all(); }
};
// An answer that is neither counts as no, or not at all.
YesNoCounts yes_no_counts(std::span<const Scored> items, std::span<const double> weights, bool unparsed_is_no = true);

// The items (with their weights) whose question has this value of a kind, for each value.
struct KindPart {
  std::vector<Scored> items{};
  std::vector<double> weights{};
};
std::map<std::string, KindPart> parts_by_kind(std::span<const Scored> items, std::span<const double> weights,
                                              const std::string& kind);

// Weights of 1.
std::vector<double> ones(std::size_t count);

// The mean over the groups of whether all items of a group are right, x 100.
double all_right_share(std::span<const Scored> items, std::span<const double> weights);

}  // namespace striate

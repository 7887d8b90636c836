// Numbers over many judged answers.
#pragma once

#include <functional>
#include <limits>
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

// How a script counts yes-or-no answers.
struct YesNoScript {
  bool unparsed_is_no = true;  // an answer that is neither counts as no; else it is left out
  // What the script says where a share has nothing to be a share of (0 / 0); NaN where it fails.
  double share_of_nothing = std::numeric_limits<double>::quiet_NaN();
};

// Of yes-or-no answers, "yes" being positive.
struct YesNoCounts {
  double true_yes = 0, false_yes = 0, true_no = 0, false_no = 0;
  double share_of_nothing = std::numeric_limits<double>::quiet_NaN();  // of the script

  double all() const { return true_yes + false_yes + true_no + false_no; }
  double precision() const { return share(true_yes, true_yes + false_yes); }
  double recall() const { return share(true_yes, true_yes + false_no); }
  double f1() const { return share(2 * precision() * recall(), precision() + recall()); }
  double yes_share() const { return share(true_yes + false_yes, all()); }
  double share(double part, double whole) const { return whole == 0 ? share_of_nothing : part / whole; }
};
YesNoCounts yes_no_counts(std::span<const Scored> items, std::span<const double> weights,
                          const YesNoScript& script = {});

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

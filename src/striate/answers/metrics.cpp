#include "striate/answers/metrics.h"

#include <unordered_map>

namespace striate {

double mean_score(std::span<const Scored> items, std::span<const double> weights) {
  double sum = 0, all = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    sum += weights[i] * items[i].judgement.score;
    all += weights[i];
  }
  return 100 * sum / all;
}

double mean_score(std::span<const Scored> items) {
  return mean_score(items, ones(items.size()));
}

YesNoCounts yes_no_counts(std::span<const Scored> items, std::span<const double> weights, const YesNoScript& script) {
  YesNoCounts counts;
  counts.share_of_nothing = script.share_of_nothing;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].judgement.unparsed && !script.unparsed_is_no) continue;
    const std::vector<std::string>& references = items[i].question->references;
    const bool is_no = !references.empty() && (references[0] == "no" || references[0] == "No");
    const bool said_yes = items[i].judgement.parsed == "yes";
    double& count =
        is_no ? (said_yes ? counts.false_yes : counts.true_no) : (said_yes ? counts.true_yes : counts.false_no);
    count += weights[i];
  }
  return counts;
}

std::map<std::string, KindPart> parts_by_kind(std::span<const Scored> items, std::span<const double> weights,
                                              const std::string& kind) {
  std::map<std::string, KindPart> parts;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto values = items[i].question->kinds.find(kind);
    if (values == items[i].question->kinds.end()) continue;
    for (const std::string& value : values->second) {
      KindPart& part = parts[value];
      part.items.push_back(items[i]);
      part.weights.push_back(weights[i]);
    }
  }
  return parts;
}

std::vector<double> ones(std::size_t count) {
  return std::vector<double>(count, 1.0);
}

double all_right_share(std::span<const Scored> items, std::span<const double> weights) {
  struct Group {
    bool right = true;
    double weight = 0;
  };
  std::unordered_map<std::string, Group> groups;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Question& question = *items[i].question;
    Group& group = groups[question.group.empty() ? question.id : question.group];
    group.right = group.right && items[i].judgement.score == 1;
    group.weight = weights[i];
  }
  double right = 0, all = 0;
  for (const auto& [name, group] : groups) {
    all += group.weight;
    if (group.right) right += group.weight;
  }
  return 100 * right / all;
}

}  // namespace striate

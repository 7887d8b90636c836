#include "striate/answers/rules.h"

#include <algorithm>

#include "striate/answers/rule_list.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {

Judgement judged_equal(const Question& question, std::string parsed) {
  const bool equal = std::ranges::find(question.references, parsed) != question.references.end();
  return {.score = equal ? 1.0 : 0.0, .parsed = std::move(parsed)};
}

const std::vector<ScoringRule>& scoring_rules() {
  static const std::vector<ScoringRule> rules = [] {
    std::vector<ScoringRule> all;
    for (const auto& list : {exact_rules(), vqa_rules(), distance_rules(), yes_no_rules(), letter_rules(), mmmu_rules(),
                             mmbench_rules(), number_rules(), box_rules()}) {
      all.insert(all.end(), list.begin(), list.end());
    }
    std::ranges::sort(all, {}, &ScoringRule::name);
    return all;
  }();
  return rules;
}

const ScoringRule& scoring_rule(std::string_view name) {
  const std::vector<ScoringRule>& rules = scoring_rules();
  const auto found = std::ranges::find(rules, name, &ScoringRule::name);
  if (found != rules.end()) return *found;
  std::vector<std::string> names;
  for (const ScoringRule& rule : rules) names.push_back(rule.name);
  const std::string near = nearest_name(name, names);
  throw invalid_input(cat("there is no scoring rule '", std::string(name), "'"),
                      near.empty() ? "striate eval list llava-json shows all rules" : cat("did you mean ", near, "?"));
}

}  // namespace striate

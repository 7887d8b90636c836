// ANLS: answers that are nearly right count in part (normalised Levenshtein similarity, cut off below 0.5).
#include <algorithm>

#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr double kAnlsThreshold = 0.5;

std::string one_space_lower(std::string_view text) {
  return join(python::split(python::lower(python::strip(text))), " ");
}

// Distance of the normalised texts over the length of the longer raw one.
double docvqa_distance(std::string_view answer, std::string_view reference) {
  const std::size_t length = std::max(python::upper_length(answer), python::upper_length(reference));
  if (length == 0) return 0;
  const std::size_t distance = python::edit_distance(one_space_lower(reference), one_space_lower(answer));
  return static_cast<double>(distance) / static_cast<double>(length);
}

// As the paper defines it (Biten et al., 2019): both from the same texts.
double anls_distance(std::string_view answer, std::string_view reference) {
  const std::string a = one_space_lower(answer), b = one_space_lower(reference);
  const std::size_t length = std::max(python::length(a), python::length(b));
  return length == 0 ? 0 : static_cast<double>(python::edit_distance(a, b)) / static_cast<double>(length);
}

template <typename Distance>
Judgement judged_by_distance(const Question& question, std::string_view text, Distance distance) {
  double nearest = 1;
  for (const std::string& reference : question.references) nearest = std::min(nearest, distance(text, reference));
  const double score = 1 - nearest;
  return {.score = score < kAnlsThreshold ? 0 : score, .parsed = one_space_lower(text)};
}

Judgement judge_docvqa(const Question& question, std::string_view text) {
  return judged_by_distance(question, text, docvqa_distance);
}

Judgement judge_anls(const Question& question, std::string_view text) {
  return judged_by_distance(question, text, anls_distance);
}

Judgement judge_stvqa_anls(const Question& question, std::string_view text) {
  const std::string answer(python::strip(python::lower(text)));
  Judgement judgement{.parsed = answer};
  for (const std::string& given : question.references) {
    const std::string reference(python::strip(python::lower(given)));
    const std::size_t length = std::max(python::length(answer), python::length(reference));
    if (length == 0) continue;  // the original divides by zero
    const double share =
        1 - static_cast<double>(python::edit_distance(answer, reference)) / static_cast<double>(length);
    if (share >= kAnlsThreshold) judgement.score = std::max(judgement.score, share);
  }
  return judgement;
}

}  // namespace

std::vector<ScoringRule> distance_rules() {
  return {
      {"anls", "ANLS with threshold 0.5, distance and length of the same normalised texts", "the metric as published",
       judge_anls},
      {"docvqa-anls", "ANLS with threshold 0.5, the distance divided by the length of the raw texts",
       "infographicsvqa_eval.py, VLMEvalKit, lmms-eval", judge_docvqa},
      {"stvqa-anls", "ANLS with threshold 0.5 after strip and lower case", "m4c_evaluator.py", judge_stvqa_anls},
  };
}

}  // namespace striate

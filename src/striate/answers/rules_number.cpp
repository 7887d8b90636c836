// Rules that read a number or a final answer out of a longer text: ChartQA, TDIUC, GSM8K, BIG-Bench Hard.
#include <algorithm>
#include <cmath>

#include "striate/answers/pattern.h"
#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr double kRelaxed = 0.05;
constexpr const char* kInvalid = "[invalid]";

std::optional<double> number_or_percent(std::string_view text) {
  if (!text.ends_with('%')) return python::to_float(text);
  const std::optional<double> percent = python::to_float(python::rstrip(text, "%"));
  return percent ? std::optional<double>(*percent / 100.0) : std::nullopt;
}

// The authors pass the answer where the target belongs: 5% of the answer are allowed.
Judgement judge_chartqa_relaxed(const Question& question, std::string_view text) {
  const std::string_view answer = python::strip(text);
  const std::optional<double> value = number_or_percent(answer);
  const bool right = std::ranges::any_of(question.references, [&](const std::string& reference) {
    const std::optional<double> wanted = number_or_percent(reference);
    if (wanted && value && *value != 0) return std::abs(*wanted - *value) / std::abs(*value) <= kRelaxed;
    return python::lower(reference) == python::lower(answer);
  });
  return {.score = right ? 1.0 : 0.0, .parsed = std::string(answer)};
}

Judgement judge_chartqa_test(const Question& question, std::string_view text) {
  const std::string answer = python::lower(text);
  const std::optional<double> value = python::to_float(answer);
  const bool right = std::ranges::any_of(question.references, [&](const std::string& given) {
    const std::string reference = python::lower(given);
    const std::optional<double> wanted = python::to_float(reference);
    if (wanted && value) return std::abs(*value - *wanted) <= std::abs(*wanted) * kRelaxed;
    return answer == reference;
  });
  return {.score = right ? 1.0 : 0.0, .parsed = answer};
}

std::string first_letter_lowered(std::string_view text) {
  const std::string_view first = python::prefix(text, 1);
  const std::string joined = python::lower(first) + std::string(text.substr(first.size()));
  return python::replace(python::strip(joined), "\n", "");
}

Judgement judge_tdiuc(const Question& question, std::string_view text) {
  Judgement judgement;
  for (const std::string& reference : question.references) {
    TdiucPair pair = tdiuc_normalised(text, reference);
    judgement.score = std::max(judgement.score, pair.answer == pair.reference ? 1.0 : 0.0);
    judgement.parsed = std::move(pair.answer);
  }
  return judgement;
}

// Number words are numbers, case and a final period do not count.
Judgement judge_tdiuc_strict(const Question& question, std::string_view text) {
  const auto normalise = [](std::string_view given) { return evalai_normalised(given); };
  Judgement judgement{.parsed = normalise(text)};
  judgement.unparsed = judgement.parsed.empty();
  const bool right = std::ranges::any_of(
      question.references, [&](const std::string& reference) { return normalise(reference) == judgement.parsed; });
  judgement.score = right && !judgement.unparsed ? 1 : 0;
  return judgement;
}

const Pattern& gsm8k_pattern() {
  static const Pattern pattern(R"(#### (\-?[0-9\.\,]+))");
  return pattern;
}

std::string gsm8k_answer(std::string_view text) {
  const auto found = gsm8k_pattern().search(text);
  return found ? python::replace((*found)[1], ",", "") : std::string(kInvalid);
}

Judgement judge_gsm8k(const Question& question, std::string_view text) {
  const std::string answer = gsm8k_answer(text);
  const bool right = answer != kInvalid && std::ranges::any_of(question.references, [&](const std::string& reference) {
                       const std::string wanted = gsm8k_answer(reference);
                       return answer == (wanted == kInvalid ? reference : wanted);
                     });
  return {.score = right ? 1.0 : 0.0, .parsed = answer, .unparsed = answer == kInvalid};
}

// exact_match with the four patterns that lm-evaluation-harness ignores.
std::string gsm8k_cleaned(std::string_view text) {
  static const Pattern worked(R"((?s).*#### )"), last_period(R"(\.$)");
  std::string out = python::replace(python::replace(text, ",", ""), "$", "");
  return python::lower(last_period.replace(worked.replace(out, ""), ""));
}

Judgement judged_gsm8k_match(const Question& question, const std::optional<std::string>& found) {
  const std::string answer = gsm8k_cleaned(found.value_or(kInvalid));
  const bool right = std::ranges::any_of(
      question.references, [&](const std::string& reference) { return gsm8k_cleaned(reference) == answer; });
  return {.score = right ? 1.0 : 0.0, .parsed = found ? answer : std::string(kInvalid), .unparsed = !found};
}

Judgement judge_gsm8k_strict_match(const Question& question, std::string_view text) {
  const auto found = gsm8k_pattern().search(text);
  return judged_gsm8k_match(question, found ? std::optional<std::string>((*found)[1]) : std::nullopt);
}

Judgement judge_gsm8k_flexible(const Question& question, std::string_view text) {
  static const Pattern number(R"((-?[$0-9.,]{2,})|(-?[0-9]+))");
  const std::vector<Pattern::Match> found = number.find_all(text);
  return judged_gsm8k_match(question, found.empty() ? std::nullopt : std::optional<std::string>(found.back()[0]));
}

Judgement judge_bbh(const Question& question, std::string_view text) {
  constexpr std::string_view kPhrase = "the answer is ";
  const std::size_t at = text.find(kPhrase);
  const bool found = at != std::string_view::npos;
  std::string_view answer = python::strip(found ? text.substr(at + kPhrase.size()) : text);
  if (answer.ends_with('.')) answer.remove_suffix(1);
  Judgement judgement = judged_equal(question, std::string(answer));
  judgement.unparsed = !found && judgement.score == 0;
  return judgement;
}

// The pattern drops the last character of the line, whether it is a period or not.
Judgement judge_bbh_lm_eval(const Question& question, std::string_view text) {
  static const Pattern phrase(R"((?<=the answer is )(.*)(?=.))");
  const auto found = phrase.search(text);
  if (!found) return {.parsed = kInvalid, .unparsed = true};
  return judged_equal(question, std::string(python::strip((*found)[1])));
}

}  // namespace

TdiucPair tdiuc_normalised(std::string_view answer, std::string_view reference) {
  const std::optional<std::string> wanted = number_of_words(reference);
  TdiucPair pair{std::string(answer), wanted.value_or(std::string(reference))};
  if (const std::optional<std::string> number = number_of_words(answer)) {
    pair.answer = *number;
  } else {
    pair.answer = first_letter_lowered(answer);
    pair.reference = first_letter_lowered(pair.reference);
  }
  return pair;
}

std::vector<ScoringRule> number_rules() {
  return {
      {"chartqa-relaxed", "equal, or a number within 5% of the answer", "Visual-Region's eval_vqa_distri.py",
       judge_chartqa_relaxed},
      {"chartqa", "equal, or a number within 5% of the reference", "chartqa_test.py", judge_chartqa_test},
      {"tdiuc", "number words become digits, else the first letter becomes small; then equal",
       "Visual-Region's eval_tdiuc_distri.py", judge_tdiuc},
      {"tdiuc-strict", "equal after EvalAI's normalisation; an empty answer is unparsed", "Striate",
       judge_tdiuc_strict},
      {"gsm8k", "the number after the first ####, compared as text", "grade-school-math's dataset.py", judge_gsm8k},
      {"gsm8k-strict-match", "the number after the first ####, cleaned", "lm-evaluation-harness",
       judge_gsm8k_strict_match},
      {"gsm8k-flexible", "the last number, cleaned", "lm-evaluation-harness", judge_gsm8k_flexible},
      {"bbh", "the text after the first \"the answer is \", without a final period", "the published BBH completions",
       judge_bbh},
      {"bbh-lm-eval", "the rest of the line after \"the answer is \" without its last character",
       "lm-evaluation-harness", judge_bbh_lm_eval},
  };
}

}  // namespace striate

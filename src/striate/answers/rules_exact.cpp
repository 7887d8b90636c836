// Rules that compare strings.
#include <algorithm>
#include <cctype>

#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"

namespace striate {
namespace {

// string.punctuation of Python.
constexpr std::string_view kAsciiPunctuation = R"(!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~)";

std::string stripped_lower(std::string_view text) {
  return python::lower(python::strip(text));
}

// 1 where `compare(answer, reference)` holds for one reference; both are normalised first.
template <typename Normalise, typename Compare>
Judgement judged_normalised(const Question& question, std::string_view text, Normalise normalise, Compare compare) {
  Judgement judgement{.parsed = normalise(text)};
  const bool right = std::ranges::any_of(question.references, [&](const std::string& reference) {
    return compare(judgement.parsed, std::string(normalise(reference)));
  });
  judgement.score = right ? 1 : 0;
  return judgement;
}

Judgement judge_exact(const Question& question, std::string_view text) {
  return judged_equal(question, std::string(text));
}

Judgement judge_exact_stripped_lower(const Question& question, std::string_view text) {
  return judged_normalised(question, text, stripped_lower, std::equal_to<>());
}

Judgement judge_gqa(const Question& question, std::string_view text) {
  return judged_equal(question, python::lower(python::rstrip(text, ".")));
}

std::string without_punctuation(std::string_view text) {
  std::string out = python::lower(text);
  std::erase_if(out, [](char c) { return kAsciiPunctuation.find(c) != std::string_view::npos; });
  return out;
}

Judgement judge_exact_without_punctuation(const Question& question, std::string_view text) {
  return judged_normalised(question, text, without_punctuation, std::equal_to<>());
}

Judgement judge_gqa_strict(const Question& question, std::string_view text) {
  const auto normalise = [](std::string_view answer) {
    return stripped_lower(python::rstrip(python::strip(answer), "."));
  };
  Judgement judgement = judged_normalised(question, text, normalise, std::equal_to<>());
  judgement.unparsed = judgement.parsed.empty();
  if (judgement.unparsed) judgement.score = 0;
  return judgement;
}

Judgement judge_ocrvqa(const Question& question, std::string_view text) {
  return judged_normalised(question, text, stripped_lower, [](const std::string& a, const std::string& b) {
    return python::contains(a, b) || python::contains(b, a);
  });
}

Judgement judge_contains(const Question& question, std::string_view text) {
  return judged_normalised(question, text, stripped_lower, [](const std::string& answer, const std::string& reference) {
    return !reference.empty() && python::contains(answer, reference);
  });
}

Judgement judge_stvqa_exact(const Question& question, std::string_view text) {
  return judged_normalised(question, text, evalai_normalised, std::equal_to<>());
}

}  // namespace

std::vector<ScoringRule> exact_rules() {
  return {
      {"exact", "the answer equals a reference, character by character", "SEED-Bench's conversion in LLaVA and Bunny",
       judge_exact},
      {"exact-caseless", "equal after strip and lower case", "VLMEvalKit's GQA and OCRVQA", judge_exact_stripped_lower},
      {"exact-unpunctuated", "equal after lower case and without ASCII punctuation", "lmms-eval's GQA",
       judge_exact_without_punctuation},
      {"gqa", "trailing periods removed, lower case, then equal", "convert_gqa_for_eval.py and eval_gqa.py", judge_gqa},
      {"gqa-strict", "strip, trailing periods removed, lower case, then equal; an empty answer is unparsed", "Striate",
       judge_gqa_strict},
      {"contains", "a reference stands in the answer, whatever the case", "Striate", judge_contains},
      {"ocrvqa-contains", "answer and reference contain one another, either way: an empty answer scores 1",
       "Visual-Region's eval_vqa_distri.py", judge_ocrvqa},
      {"stvqa-exact", "equal after EvalAI's normalisation", "m4c_evaluator.py", judge_stvqa_exact},
  };
}

}  // namespace striate

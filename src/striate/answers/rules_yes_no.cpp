// Rules for questions whose answer is yes or no.
#include <algorithm>

#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

bool has_word(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

// The reference is "yes" or "no", whatever its case.
Judgement judged_yes_no(const Question& question, std::string parsed) {
  const bool right = std::ranges::any_of(question.references, [&](const std::string& reference) {
    return python::lower(python::strip(reference)) == parsed;
  });
  return {.score = right ? 1.0 : 0.0, .parsed = std::move(parsed)};
}

Judgement not_yes_no() {
  return {.unparsed = true};
}

Judgement judge_pope(const Question& question, std::string_view text) {
  std::string first(text.substr(0, text.find('.')));
  std::erase(first, ',');
  const std::vector<std::string> words = split(first, ' ');
  const bool no = has_word(words, "No") || has_word(words, "not") || has_word(words, "no");
  return judged_yes_no(question, no ? "no" : "yes");
}

// Words are what VLMEvalKit's process_punctuation leaves.
Judgement judge_yes_no_words(const Question& question, std::string_view text) {
  const std::vector<std::string> words = python::split(without_vlmevalkit_punctuation(python::lower(text)));
  const bool yes = has_word(words, "yes"), no = has_word(words, "no");
  return yes == no ? not_yes_no() : judged_yes_no(question, yes ? "yes" : "no");
}

Judgement judge_yes_no_whole(const Question& question, std::string_view text) {
  const std::string answer(python::strip(python::lower(text)));
  Judgement judgement = judged_yes_no(question, answer);
  judgement.unparsed = answer != "yes" && answer != "no";
  return judgement;
}

// "yes" or "no" at the beginning: of the whole, or anywhere in the first four characters.
Judgement judged_by_prefix(const Question& question, std::string_view answer) {
  if (answer == "yes" || answer == "no") return judged_yes_no(question, std::string(answer));
  const std::string_view first = python::prefix(answer, 4);
  if (python::contains(first, "yes")) return judged_yes_no(question, "yes");
  if (python::contains(first, "no")) return judged_yes_no(question, "no");
  Judgement judgement = not_yes_no();
  judgement.parsed = "other";
  return judgement;
}

Judgement judge_mme(const Question& question, std::string_view text) {
  return judged_by_prefix(question, python::lower(text));
}

Judgement judge_mme_lmms(const Question& question, std::string_view text) {
  const std::string answer = python::replace(python::strip(python::lower(text)), ".", "");
  if (answer == "y") return judged_yes_no(question, "yes");
  if (answer == "n") return judged_yes_no(question, "no");
  return judged_by_prefix(question, answer);
}

Judgement judge_yes_no_strict(const Question& question, std::string_view text) {
  const std::vector<std::string> words = python::split(python::lower(text));
  const std::string first = words.empty() ? std::string() : std::string(python::rstrip(words[0], ".,;:!"));
  return first == "yes" || first == "no" ? judged_yes_no(question, first) : not_yes_no();
}

Judgement judge_hallusionbench(const Question& question, std::string_view text) {
  const std::vector<std::string> words = python::split(text);
  if (words.empty()) return not_yes_no();  // the original fails here
  return judged_yes_no(question, std::string(python::rstrip(python::lower(words[0]), ".:,")));
}

}  // namespace

std::vector<ScoringRule> yes_no_rules() {
  return {
      {"pope", "no where a word of the first sentence is No, not or no; everything else is yes", "eval_pope.py",
       judge_pope},
      {"yes-no-words", "yes or no where exactly one of the two is among the words", "VLMEvalKit", judge_yes_no_words},
      {"yes-no-whole", "the whole answer is yes or no", "lmms-eval's POPE", judge_yes_no_whole},
      {"mme", "yes or no, or the first four characters contain it", "calculation_mme.py", judge_mme},
      {"mme-lmms", "the same after strip and without periods; y and n count", "lmms-eval", judge_mme_lmms},
      {"yes-no-strict", "the first word is yes or no; all else is unparsed", "Striate", judge_yes_no_strict},
      {"hallusionbench", "the first word, lower case, without .:, at its end", "hallusionbench_test.py",
       judge_hallusionbench},
  };
}

}  // namespace striate

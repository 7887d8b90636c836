// Rules that read the letter of a choice.
#include <algorithm>
#include <map>

#include "striate/answers/pattern.h"
#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"

namespace striate {
namespace {

constexpr std::string_view kScienceQaLetters = "ABCDE";

// The letters that a question has, or A to Z where its options are unknown.
std::string letters_of(const Question& question) {
  std::string letters;
  const std::size_t count = question.options.empty() ? 26 : std::min<std::size_t>(question.options.size(), 26);
  for (std::size_t i = 0; i < count; ++i) letters += static_cast<char>('A' + i);
  return letters;
}

bool is_scienceqa_letter(char c) {
  return kScienceQaLetters.find(c) != std::string_view::npos;
}

std::string scienceqa_letter(std::string_view text) {
  if (text.size() == 1 && is_scienceqa_letter(text[0])) return std::string(text);
  if (text.size() >= 3 && is_scienceqa_letter(text[0]) && text.substr(1, 2) == ". ") return std::string(1, text[0]);
  static const Pattern phrase("The answer is ([A-Z]).");
  const std::vector<Pattern::Match> found = phrase.find_all(text);
  return found.size() == 1 ? found[0][1] : std::string();
}

Judgement judge_scienceqa(const Question& question, std::string_view text) {
  const std::string letter = scienceqa_letter(text);
  if (letter.empty()) return {.parsed = "FAILED", .unparsed = true};
  Judgement judgement = judged_equal(question, letter);
  if (!question.options.empty() && letters_of(question).find(letter) == std::string::npos) judgement.score = 0;
  return judgement;
}

// lmms-eval: the letter alone in any case, or a capital letter and a period.
Judgement judge_scienceqa_lmms(const Question& question, std::string_view text) {
  const std::string_view answer = python::strip(text);
  const std::string lower = python::lower(answer);
  for (const std::string& reference : question.references) {
    if (lower == python::lower(python::strip(reference))) return {.score = 1, .parsed = reference};
  }
  static const Pattern with_period(R"(^(\p{Lu})\.)");
  if (const auto found = with_period.search(answer)) return judged_equal(question, (*found)[1]);
  return {.parsed = std::string(answer), .unparsed = answer.size() != 1};
}

Judgement judge_first_letter(const Question& question, std::string_view text) {
  const std::string first = python::lower(python::prefix(python::strip(text), 1));
  const bool right = std::ranges::any_of(question.references, [&](const std::string& reference) {
    return python::lower(python::strip(reference)) == first;
  });
  return {.score = right ? 1.0 : 0.0, .parsed = first, .unparsed = first.empty()};
}

// A letter alone, "(B)", "B.", "B)", "B:", each perhaps followed by text, or "answer is B" at the end; nothing else.
Judgement judge_letter_strict(const Question& question, std::string_view text) {
  static const Pattern alone(R"(^\s*([A-Z])\s*$)");
  static const Pattern marked(R"(^\s*(?:\(([A-Z])\)|([A-Z])[.):])(?:\s|[.:,]|$))");
  static const Pattern phrase(R"((?i:answer is):?\s*\(?([A-Z])\)?\s*\.?\s*$)");
  std::string letter;
  if (const auto found = alone.search(text)) {
    letter = (*found)[1];
  } else if (const auto with_mark = marked.search(text)) {
    letter = (*with_mark)[1] + (*with_mark)[2];
  } else if (const auto said = phrase.search(text)) {
    letter = (*said)[1];
  }
  if (letter.empty() || letters_of(question).find(letter) == std::string::npos) return {.unparsed = true};
  return judged_equal(question, letter);
}

// The last text between one of the phrases and the end, and of that the first character; a to d become 0 to 3.
Judgement judge_ai2d(const Question& question, std::string_view text) {
  std::string answer(python::strip(python::lower(text)));
  for (const std::string_view phrase : {"answer is", "answer is:", "answer:", "assistant:"}) {
    const std::size_t at = answer.rfind(phrase);
    if (at != std::string::npos) answer = answer.substr(at + phrase.size());
  }
  std::string_view rest = python::rstrip(python::strip(answer), ".:,");
  rest.remove_prefix(std::min(rest.find_first_not_of('('), rest.size()));
  std::string first(python::prefix(python::rstrip(rest, ")"), 1));
  if (first.size() == 1 && first[0] >= 'a' && first[0] <= 'd') first[0] = static_cast<char>('0' + (first[0] - 'a'));
  const bool right = std::ranges::any_of(
      question.references, [&](const std::string& reference) { return python::lower(reference) == first; });
  return {.score = right ? 1.0 : 0.0, .parsed = first, .unparsed = first.empty()};
}

std::size_t occurrences(std::string_view text, std::string_view part) {
  if (part.empty()) return python::length(text) + 1;  // as str.count() does
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

// The most frequent letter: as "(B)", else as a bare letter, else by its option's text; ties are joined.
Judgement judge_cmmmu(const Question& question, std::string_view text) {
  for (const char* mark : {",", ".", "!", "?", ";", ":", "'"}) text = python::strip(text, mark);
  std::map<char, std::size_t> counts;
  const auto count_all = [&](auto&& part_of) {
    std::size_t most = 0;
    for (std::size_t i = 0; i < question.options.size() && i < 26; ++i) {
      const auto letter = static_cast<char>('A' + i);
      counts[letter] = occurrences(text, part_of(letter, question.options[i]));
      most = std::max(most, counts[letter]);
    }
    return most;
  };
  std::size_t most = count_all([](char letter, const std::string&) { return std::string{'(', letter, ')'}; });
  if (most == 0) most = count_all([](char letter, const std::string&) { return std::string(1, letter); });
  if (most == 0 && !python::split(text).empty()) {
    most = count_all([](char, const std::string& option) { return option; });
  }
  if (most == 0) {
    const auto options = static_cast<double>(std::max<std::size_t>(question.options.size(), 1));
    return {.score = 1 / options, .unparsed = true};
  }
  std::string letters;
  for (const auto& [letter, count] : counts) {
    if (count == most) letters += letter;
  }
  return judged_equal(question, letters);
}

}  // namespace

std::vector<ScoringRule> letter_rules() {
  return {
      {"scienceqa", "a letter alone, \"B. \" at the beginning, or \"The answer is B\" once", "eval_science_qa.py",
       judge_scienceqa},
      {"scienceqa-lmms", "the right letter in any case, or a capital letter and a period first", "lmms-eval",
       judge_scienceqa_lmms},
      {"letter-first", "the first character, in any case", "lmms-eval's SEED-Bench", judge_first_letter},
      {"letter-strict", "a letter alone or marked as one (\"(B)\", \"B.\", \"answer is B\"); all else is unparsed",
       "Striate", judge_letter_strict},
      {"ai2d", "the first character after \"answer is\"; a to d are 0 to 3", "ai2d_test.py", judge_ai2d},
      {"cmmmu", "the letter named most often; ties are joined, and nothing found scores as a random choice",
       "eval/cmmmu/eval_utils.py", judge_cmmmu},
  };
}

}  // namespace striate

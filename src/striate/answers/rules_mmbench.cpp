// MMBench: the letter that VLMEvalKit's and lmms-eval's matching infers without a judge model.
#include <algorithm>
#include <cstdint>

#include "striate/answers/pattern.h"
#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::vector<std::string> option_letters(std::size_t count) {
  std::vector<std::string> letters;
  for (std::size_t i = 0; i < std::min<std::size_t>(count, 26); ++i)
    letters.emplace_back(1, static_cast<char>('A' + i));
  return letters;
}

bool among(const std::vector<std::string>& words, const std::string& word) {
  return std::ranges::find(words, word) != words.end();
}

// The one option whose text stands in the answer, "" where there are none or several. `all`: also those that pandas
// takes for missing cells.
std::string option_by_text(const Question& question, std::string_view answer, bool all) {
  const std::string lower = python::lower(answer);
  std::string letter;
  for (std::size_t i = 0; i < question.options.size() && i < 26; ++i) {
    if (!all && is_missing_option(question, i)) continue;
    if (!python::contains(lower, python::lower(question.options[i]))) continue;
    if (!letter.empty()) return {};
    letter = static_cast<char>('A' + i);
  }
  return letter;
}

bool refuses(std::string_view answer) {
  constexpr std::string_view kRefusals[] = {"Sorry, I can't help with images of people yet.",
                                            "I can't process this file.", "I'm sorry, but without the image provided",
                                            "Cannot determine the answer"};
  return std::ranges::any_of(kRefusals, [&](std::string_view text) { return python::contains(answer, text); });
}

// can_infer_option() and can_infer_text() of VLMEvalKit; "" where they infer nothing, "Z" where the model refused.
std::string vlmevalkit_letter(const Question& question, std::string_view answer) {
  if (refuses(answer)) return "Z";
  std::string spaced(answer);
  std::ranges::replace_if(
      spaced, [](char c) { return std::string_view(".()[],:;!*#{}").find(c) != std::string_view::npos; }, ' ');
  const std::vector<std::string> words = python::split(spaced);
  std::vector<std::string> letters = option_letters(question.options.size());
  std::erase_if(letters, [&](const std::string& letter) { return python::contains(question.missing_options, letter); });
  std::vector<std::string> named;
  for (const std::string& letter : letters) {
    if (among(words, letter)) named.push_back(letter);
  }
  if (named.size() == 1) {
    const auto at = std::ranges::find(words, named[0]) - words.begin();
    if (at > static_cast<std::int64_t>(words.size()) - 5) return named[0];
  }
  if (named.empty() && among(words, "Z")) return "Z";
  static const Pattern phrase(R"((?i)(?:correct\s+)?answer\s+is\s+\**([ABCD])\**)");
  if (const auto found = phrase.search(answer)) {
    std::string letter = (*found)[1];
    letter[0] = static_cast<char>(letter[0] & ~0x20);
    if (among(letters, letter)) return letter;
  }
  std::size_t length = 0;
  for (std::size_t i = 0; i < question.options.size(); ++i) {
    if (!is_missing_option(question, i)) length += python::length(question.options[i]);
  }
  return python::length(python::lower(answer)) > 2 * length ? std::string() : option_by_text(question, answer, false);
}

Judgement judge_mmbench(const Question& question, std::string_view text) {
  std::string letter = vlmevalkit_letter(question, text);
  if (letter.empty()) return {.unparsed = true};
  return judged_equal(question, std::move(letter));
}

// can_infer_option() of lmms-eval's MMBench: a letter as a word, alone or with one of these marks.
std::string lmms_letter(std::string_view answer) {
  const std::vector<std::string> words = python::split(answer);
  const std::vector<std::string> letters = option_letters(5);
  const auto only = [&](const std::string& before, const std::string& after) {
    std::vector<std::string> named;
    for (const std::string& letter : letters) {
      if (among(words, before + letter + after)) named.push_back(letter);
    }
    return named.size() == 1 ? named[0] : std::string();
  };
  const std::string bare = only("", "");
  if (!bare.empty() && !(among(words, "A") && words.size() > 3)) return bare;
  constexpr std::string_view kMarks[][2] = {{"", "."},   {"", ","}, {"", ":"},  {"", ")"},  {"", ")."}, {"(", ")"},
                                            {"(", ")."}, {":", ""}, {":", ","}, {":", "."}, {":", ")"}, {":", ")."}};
  for (const auto& [before, after] : kMarks) {
    const std::string letter = only(std::string(before), std::string(after));
    if (!letter.empty()) return letter;
  }
  return {};
}

// A letter that extract_mcq_answer() considers: the form it was found in tells how sure it is.
struct Guess {
  std::string letter;
  int sureness;
  std::size_t at;
};

void add_marked(std::vector<Guess>& guesses, const std::string& text, const std::vector<std::string>& letters,
                const std::string& before, const std::string& after, int sureness) {
  for (const std::string& letter : letters) {
    const std::size_t at = text.rfind(before + letter + after);
    if (at != std::string::npos) guesses.push_back({letter, sureness, at});
  }
}

void add_announced(std::vector<Guess>& guesses, const std::string& text, const std::vector<std::string>& letters) {
  constexpr std::string_view kPhrases[] = {"the answer is",
                                           "answer is",
                                           "the correct answer is",
                                           "correct answer is",
                                           "the best answer is",
                                           "best answer is",
                                           "the correct option is",
                                           "correct option is",
                                           "the best option is",
                                           "best option is",
                                           "the choice is",
                                           "choice is",
                                           "the correct choice is",
                                           "correct choice is",
                                           "i choose",
                                           "i select",
                                           "i pick",
                                           "my answer is",
                                           "my choice is",
                                           "옵션",
                                           "정답은",
                                           "답은",
                                           "답:",
                                           "答案是",
                                           "答案为",
                                           "选",
                                           "答えは"};
  const std::string lower = python::lower(text);
  for (const std::string_view phrase : kPhrases) {
    const std::size_t at = lower.find(phrase);
    if (at == std::string::npos) continue;
    for (const std::string& letter : letters) {
      const std::size_t found = text.find(letter, at + phrase.size());
      if (found != std::string::npos) guesses.push_back({letter, 7, found});
    }
  }
}

// extract_mcq_answer() of lmms-eval, which the "static" variant of its MMBench falls back to.
std::string lmms_guess(std::string_view answer, const std::vector<std::string>& letters) {
  std::string_view stripped = python::strip(answer);
  if (stripped.empty()) return {};
  for (const char* mark : {",", ".", "!", "?", ";", ":", "'", "\""}) stripped = python::strip(stripped, mark);
  const std::string text = cat(" ", stripped, " ");
  std::vector<Guess> guesses;
  add_marked(guesses, text, letters, "(", ")", 6);
  add_marked(guesses, text, letters, "", ".", 5);
  add_marked(guesses, text, letters, "", ":", 4);
  add_marked(guesses, text, letters, "", ")", 3);
  add_marked(guesses, text, letters, "", " ", 2);
  add_announced(guesses, text, letters);
  static const Pattern in_word_first(R"(^.\p{L})"), in_word_last(R"(\p{L}.$)");
  const std::string_view inner = python::strip(text);
  for (const std::string& letter : letters) {
    if (inner.starts_with(letter) && !in_word_first.search(inner)) guesses.push_back({letter, 10, 0});
  }
  for (const std::string& letter : letters) {
    if (inner.ends_with(letter) && !in_word_last.search(inner)) guesses.push_back({letter, 9, text.size() - 1});
  }
  if (guesses.empty()) add_marked(guesses, text, letters, "", "", 0);
  if (guesses.empty()) return {};
  return std::ranges::max_element(
             guesses,
             [](const Guess& a, const Guess& b) { return std::pair(a.sureness, a.at) < std::pair(b.sureness, b.at); })
      ->letter;
}

Judgement judge_mmbench_lmms(const Question& question, std::string_view text) {
  const std::string_view answer = python::strip(text);
  std::string letter = lmms_letter(answer);
  if (letter.empty()) letter = option_by_text(question, answer, true);
  if (letter.empty()) letter = lmms_guess(answer, option_letters(std::min<std::size_t>(question.options.size(), 4)));
  if (letter.empty()) return {.unparsed = true};
  return judged_equal(question, std::move(letter));
}

}  // namespace

std::vector<ScoringRule> mmbench_rules() {
  return {
      {"mmbench", "the one letter among the last words, \"answer is B\", or the one option named; a refusal is Z",
       "VLMEvalKit's matching_util.py without a judge model", judge_mmbench},
      {"mmbench-lmms", "a letter with common marks, the one option named, or the likeliest letter anywhere",
       "lmms-eval's mmbench_en_dev_static", judge_mmbench_lmms},
  };
}

}  // namespace striate

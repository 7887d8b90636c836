// MMMU: multiple choice whose letter is guessed where none is found, and open answers.
#include <algorithm>
#include <optional>
#include <set>

#include "striate/answers/pattern.h"
#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kUnknownOptions = 9;  // A to I, the most that MMMU has

struct MmmuChoices {
  std::vector<std::string> letters;
  const std::vector<std::string>& texts;  // empty where they are unknown
};

MmmuChoices mmmu_choices(const Question& question) {
  MmmuChoices choices{{}, question.options};
  const std::size_t count = question.options.empty() ? kUnknownOptions : question.options.size();
  for (std::size_t i = 0; i < std::min<std::size_t>(count, 26); ++i) {
    choices.letters.emplace_back(1, static_cast<char>('A' + i));
  }
  return choices;
}

// Where a candidate was found; among several the one found last counts.
struct Candidate {
  std::size_t choice;
  std::size_t at;  // npos where the last look finds nothing
};

std::vector<Candidate> find_candidates(std::string_view text, const MmmuChoices& choices, std::string_view before,
                                       std::string_view after, std::string_view last_before) {
  std::vector<Candidate> found;
  for (std::size_t i = 0; i < choices.letters.size(); ++i) {
    const std::string marked = cat(before, choices.letters[i], after);
    if (!python::contains(text, marked)) continue;
    found.push_back({i, text.rfind(cat(last_before, choices.letters[i], after))});
  }
  return found;
}

std::vector<Candidate> find_texts(const std::string& text, const MmmuChoices& choices) {
  std::vector<Candidate> found;
  const std::string lower = python::lower(text);
  for (std::size_t i = 0; i < choices.texts.size(); ++i) {
    const std::size_t at = lower.rfind(python::lower(choices.texts[i]));
    if (at != std::string::npos) found.push_back({i, at});
  }
  return found;
}

// numpy's argmax over positions where -1 stands for "not found": the first of the largest.
std::size_t last_candidate(const std::vector<Candidate>& found) {
  const auto position = [](const Candidate& candidate) {
    return candidate.at == std::string::npos ? std::size_t{0} : candidate.at + 1;
  };
  return std::ranges::max_element(found, {}, position)->choice;
}

// The letter, or nullopt where the original draws one at random. lmms-eval also takes "B " within a word and "B.".
std::optional<std::string> mmmu_letter(const Question& question, std::string_view answer, bool lmms) {
  const MmmuChoices choices = mmmu_choices(question);
  for (const char* mark : {",", ".", "!", "?", ";", ":", "'"}) answer = python::strip(answer, mark);
  const std::string text = cat(" ", answer, " ");
  std::vector<Candidate> found = find_candidates(text, choices, "(", ")", "(");
  if (found.empty()) found = find_candidates(text, choices, lmms ? "" : " ", " ", " ");
  if (found.empty() && lmms) {
    found = find_candidates(text, choices, "", ".", "");
    for (Candidate& candidate : found) candidate.at = text.rfind(cat(" ", choices.letters[candidate.choice], " "));
  }
  if (found.empty() && python::split(text).size() > 5) found = find_texts(text, choices);
  if (found.empty()) return std::nullopt;
  return choices.letters[last_candidate(found)];
}

Judgement judge_mmmu_letter(const Question& question, std::string_view text, bool lmms) {
  std::optional<std::string> letter = mmmu_letter(question, text, lmms);
  if (letter) return judged_equal(question, std::move(*letter));
  const double chance = question.options.empty() ? 0 : 1 / static_cast<double>(question.options.size());
  return {.score = chance, .unparsed = true};
}

// A value that is compared as a number or as a string.
struct MmmuValue {
  std::optional<double> number;
  std::string text;
};

std::vector<MmmuValue> mmmu_normalised(std::string_view given) {
  const std::string_view text = python::strip(given);
  if (const auto number = python::to_float(python::replace(text, ",", ""))) {
    const double rounded = python::round(*number, 2);
    return {{rounded, python::repr(rounded)}};
  }
  const std::string lower = python::lower(text);
  if (python::length(lower) == 1) return {{std::nullopt, " " + lower}, {std::nullopt, lower + " "}};
  return {{std::nullopt, lower}};
}

std::vector<std::string> mmmu_numbers(std::string_view text) {
  static const Pattern commas(R"(-?\b\d{1,3}(?:,\d{3})+\b)");
  static const Pattern scientific(R"(-?\d+(?:\.\d+)?[eE][+-]?\d+)");
  static const Pattern simple(R"(-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d]))");
  std::vector<std::string> numbers;
  for (const Pattern* pattern : {&commas, &scientific, &simple}) {
    for (const Pattern::Match& match : pattern->find_all(text)) numbers.push_back(match[0]);
  }
  return numbers;
}

// The shortest text after one of the words that announce an answer.
std::string shortest_tail(const std::string& piece, bool last) {
  std::vector<std::string_view> announce = {"could be ",  "so ",    "is ",     "thus ",
                                            "therefore ", "final ", "answer ", "result "};
  if (last) announce.push_back("=");
  std::string shortest;
  for (const std::string_view word : announce) {
    const std::size_t at = piece.rfind(word);
    if (at == std::string::npos) continue;
    const std::string tail(python::strip(std::string_view(piece).substr(at + word.size())));
    if (shortest.empty() || python::length(tail) < python::length(shortest)) shortest = tail;
  }
  return shortest;
}

std::vector<std::string> mmmu_key_parts(std::string_view answer) {
  const std::string text = python::lower(python::strip(python::strip(answer), "."));
  const std::vector<std::string> pieces = split(text, '\n');
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    std::string tail = shortest_tail(pieces[i], i + 1 == pieces.size());
    const bool trivial = tail.size() == 1 && std::string_view(":,.!?;'").find(tail[0]) != std::string_view::npos;
    if (!tail.empty() && !trivial) parts.push_back(std::move(tail));
  }
  if (parts.empty()) parts.push_back(text);
  return parts;
}

std::vector<MmmuValue> mmmu_open_values(std::string_view answer) {
  const std::vector<std::string> parts = mmmu_key_parts(answer);
  std::vector<std::string> all = parts;
  for (const std::string& part : parts) {
    for (std::string& number : mmmu_numbers(part)) all.push_back(std::move(number));
  }
  std::vector<MmmuValue> values;
  for (const std::string& text : all) {
    for (MmmuValue& value : mmmu_normalised(text)) values.push_back(std::move(value));
  }
  return values;
}

bool agrees(const MmmuValue& value, const MmmuValue& reference) {
  if (value.number.has_value() != reference.number.has_value()) return false;
  if (value.number) return *value.number == *reference.number;
  return python::contains(value.text, reference.text);
}

Judgement judge_mmmu_open(const Question& question, std::string_view text) {
  const std::vector<MmmuValue> values = mmmu_open_values(text);
  std::vector<MmmuValue> references;
  for (const std::string& reference : question.references) {
    for (MmmuValue& value : mmmu_normalised(reference)) references.push_back(std::move(value));
  }
  const bool right = std::ranges::any_of(values, [&](const MmmuValue& value) {
    return std::ranges::any_of(references, [&](const MmmuValue& reference) { return agrees(value, reference); });
  });
  return {.score = right ? 1.0 : 0.0, .parsed = join(mmmu_open_candidates(text), " | ")};
}

Judgement judge_mmmu_choice(const Question& question, std::string_view text) {
  return judge_mmmu_letter(question, text, false);
}

Judgement judge_mmmu_choice_lmms(const Question& question, std::string_view text) {
  return judge_mmmu_letter(question, text, true);
}

}  // namespace

std::vector<std::string> mmmu_open_candidates(std::string_view answer) {
  std::set<std::string> candidates;
  for (const MmmuValue& value : mmmu_open_values(answer)) candidates.insert(value.text);
  return {candidates.begin(), candidates.end()};
}

std::vector<ScoringRule> mmmu_rules() {
  return {
      {"mmmu-choice", "the last letter found as (B), as a word, or by its option's text; else as a random choice",
       "eval_mmmu.py", judge_mmmu_choice},
      {"mmmu-choice-lmms", "the same, where a letter before a space or a period counts as well", "lmms-eval",
       judge_mmmu_choice_lmms},
      {"mmmu-open", "a number of the answer equals the reference, or a part of it contains the reference",
       "eval_mmmu.py", judge_mmmu_open},
  };
}

}  // namespace striate

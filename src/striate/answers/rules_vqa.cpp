// VQA accuracy: an answer is as right as annotators agree with it, after the VQA evaluation tools' normalisation.
#include <algorithm>
#include <set>

#include "striate/answers/python_text.h"
#include "striate/answers/rule_list.h"
#include "striate/answers/rules.h"
#include "striate/answers/vqa_tables.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kMostPeriods = 32;  // re.UNICODE, which was passed where the count of replacements belongs

bool is_ascii_digit(char c) {
  return c >= '0' && c <= '9';
}

bool digit_at(std::string_view text, std::size_t at) {
  return at < text.size() && is_ascii_digit(text[at]);
}

// Whether `one` or more commas stand between two digits.
bool has_comma_in_number(std::string_view text, bool several) {
  for (std::size_t at = text.find(','); at != std::string_view::npos; at = text.find(',', at + 1)) {
    if (at == 0 || !is_ascii_digit(text[at - 1])) continue;
    std::size_t after = at + 1;
    while (several && after < text.size() && text[after] == ',') ++after;
    if (digit_at(text, after)) return true;
  }
  return false;
}

// Which periods go: those before no digit, in VLMEvalKit also not those after one.
std::string without_periods(std::string_view text, bool look_behind) {
  std::string out;
  std::size_t removed = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool behind = look_behind && at > 0 && is_ascii_digit(text[at - 1]);
    if (text[at] == '.' && !digit_at(text, at + 1) && !behind && removed < kMostPeriods) {
      ++removed;
    } else {
      out += text[at];
    }
  }
  return out;
}

std::string without_punctuation_marks(std::string_view text, bool vlmevalkit) {
  const bool comma = has_comma_in_number(text, !vlmevalkit);
  std::string out(text);
  for (const char mark : kVqaPunctuation) {
    const std::string before{mark, ' '}, after{' ', mark};
    const bool removed = comma || python::contains(text, before) || python::contains(text, after);
    out = python::replace(out, std::string(1, mark), removed ? "" : " ");
  }
  return without_periods(out, vlmevalkit);
}

std::string with_digits_without_articles(std::string_view text) {
  std::vector<std::string> words;
  for (std::string& word : python::split(python::lower(text))) {
    const auto number = vqa_numbers().find(word);
    if (number != vqa_numbers().end()) word = number->second;
    if (word == "a" || word == "an" || word == "the") continue;
    const auto contraction = vqa_contractions().find(word);
    words.push_back(contraction == vqa_contractions().end() ? word : contraction->second);
  }
  return join(words, " ");
}

std::string on_one_line(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(
      out, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return std::string(python::strip(out));
}

// The mean over the annotators of min(1, others that gave this answer / 3).
template <typename Normalise>
Judgement judged_by_annotators(const Question& question, std::string_view text, Normalise normalise) {
  Judgement judgement{.parsed = normalise(text)};
  std::size_t agreeing = 0;
  for (const std::string& reference : question.references) {
    if (normalise(reference) == judgement.parsed) ++agreeing;
  }
  const auto all = static_cast<double>(question.references.size());
  const auto agree = static_cast<double>(agreeing);
  if (agreeing > 0) {
    const double of_agreeing = std::min(1.0, (agree - 1) / 3), of_others = std::min(1.0, agree / 3);
    judgement.score = (agree * of_agreeing + (all - agree) * of_others) / all;
  }
  return judgement;
}

Judgement judge_textvqa(const Question& question, std::string_view text) {
  return judged_by_annotators(question, text, evalai_normalised);
}

Judgement judge_vqav2(const Question& question, std::string_view text) {
  return judged_by_annotators(question, text, vqa_normalised);
}

Judgement judge_vlmevalkit_vqa(const Question& question, std::string_view text) {
  return judged_by_annotators(question, text, vlmevalkit_normalised);
}

// For data with one reference, or with references that are alternatives.
Judgement judge_vqa(const Question& question, std::string_view text) {
  Judgement judgement{.parsed = evalai_normalised(text)};
  const bool right = std::ranges::any_of(question.references, [&](const std::string& reference) {
    return evalai_normalised(reference) == judgement.parsed;
  });
  judgement.score = right ? 1 : 0;
  return judgement;
}

}  // namespace

std::string evalai_normalised(std::string_view answer) {
  std::string text = python::lower(answer);
  std::erase_if(text, [](char c) { return c == ',' || c == '?'; });
  text = python::replace(text, "'s", " 's");
  return vqa_normalised(python::strip(text));
}

std::string vqa_normalised(std::string_view answer) {
  return with_digits_without_articles(without_punctuation_marks(on_one_line(answer), false));
}

std::string vlmevalkit_normalised(std::string_view answer) {
  return with_digits_without_articles(without_punctuation_marks(on_one_line(answer), true));
}

std::string without_vlmevalkit_punctuation(std::string_view text) {
  return without_punctuation_marks(text, true);
}

std::vector<ScoringRule> vqa_rules() {
  return {
      {"textvqa", "VQA accuracy over ten annotators after EvalAI's normalisation", "m4c_evaluator.py", judge_textvqa},
      {"vqav2", "VQA accuracy over the annotators after the VQA tools' punctuation and number rules", "lmms-eval",
       judge_vqav2},
      {"vqa-vlmevalkit", "VQA accuracy with VLMEvalKit's own normalisation", "VLMEvalKit", judge_vlmevalkit_vqa},
      {"vqa", "equal to a reference after EvalAI's normalisation", "m4c_evaluator.py", judge_vqa},
  };
}

}  // namespace striate

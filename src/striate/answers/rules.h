// Scoring rules: what one answer is worth, by a named rule. Each is a pure function of the question and the text of
// the answer; docs/benchmarks.md says which protocol uses which.
//
// Where a published script draws a random letter or refuses to go on, no chance and no failure enter the score: the
// answer counts as unparsed, and its score is what the draw would give on average (docs/evaluation.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "striate/answers/question.h"

namespace striate {

struct ScoringRule {
  std::string name;
  std::string does;    // in one sentence
  std::string source;  // whose code it follows
  Judgement (*judge)(const Question& question, std::string_view text);
};

// All of them, by name in ascending order.
const std::vector<ScoringRule>& scoring_rules();

// Throws InvalidInput with the nearest name where there is none.
const ScoringRule& scoring_rule(std::string_view name);

// --- What the rules are made of, for those who want a part ---

// EvalAIAnswerProcessor: how TextVQA, ST-VQA and VQAv2's server normalise an answer.
std::string evalai_normalised(std::string_view answer);
// The same without what happens before punctuation: lmms-eval's VQAv2.
std::string vqa_normalised(std::string_view answer);
// VLMEvalKit's variant of the latter, which keeps a period beside a digit on either side.
std::string vlmevalkit_normalised(std::string_view answer);

// The number in a text of number words (Python's word2number 1.1), as str() writes it; nullopt where it finds none.
std::optional<std::string> number_of_words(std::string_view text);

// What TDIUC's script compares: the answer and the reference after both were normalised.
struct TdiucPair {
  std::string answer, reference;
};
TdiucPair tdiuc_normalised(std::string_view answer, std::string_view reference);

// The candidates in an open answer of MMMU, in ascending order; numbers as repr() writes them.
std::vector<std::string> mmmu_open_candidates(std::string_view answer);

// The first "[a, b, c, d]" in a text; nullopt where there is none.
std::optional<Box> first_box(std::string_view text);

// Intersection over union with signed areas; NaN for two empty boxes.
double intersection_over_union(const Box& a, const Box& b);

}  // namespace striate

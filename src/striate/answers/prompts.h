// Pieces of prompts that several protocols share.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "striate/answers/benchmark.h"
#include "striate/answers/rules.h"

namespace striate {

inline constexpr std::string_view kImageLine = "<image>\n";
inline constexpr std::string_view kSingleWord = "\nAnswer the question using a single word or phrase.";
inline constexpr std::string_view kLetterDirectly =
    "\nAnswer with the option's letter from the given choices directly.";

using PromptRule = std::function<std::string(const Question&, const QuestionSet&)>;

// before + question + after.
PromptRule plain_prompt(std::string_view before, std::string_view after);

// "\nA. first\nB. second".
std::string lettered_options(const Question& question);
// The same as harnesses show options that they read with pandas: without those that it takes for missing, or only those
// before the first of them.
std::string lettered_options_of_pandas(const Question& question, bool stops_at_missing);

// LLaVA's for MMBench, whose table it reads with pandas: hint, question and lettered options on lines of their own, up
// to the first that pandas takes for missing, then the request for a letter.
PromptRule llava_choice_prompt();

// VLMEvalKit's own words for multiple choice, and LLaVA's as VLMEvalKit's LLaVA class puts them: a picture between
// spaces, no line break after it.
PromptRule vlmevalkit_choice_prompt();
PromptRule vlmevalkit_prompt(std::string_view after);

// The judge of a rule by its name.
std::function<Judgement(const Question&, const std::string&)> judge_by(std::string_view rule);

// A protocol that generates text and scores it by a rule.
struct TextProtocol {
  std::string name, asking, prompt_rule, rule;
  std::int64_t max_tokens;
  PromptRule prompt;
};
Protocol text_protocol(TextProtocol given);

// The same protocol under another name: the same answers serve both.
Protocol renamed(Protocol protocol, std::string name, std::vector<std::string> notes);

// The same prompt and decoding, scored by another rule.
Protocol rescored(Protocol protocol, std::string name, std::string_view rule);

}  // namespace striate

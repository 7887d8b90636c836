// One answer of a model, as it is kept: what was asked, what came back, and how it ended.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

// Why the model stopped.
enum class AnswerEnding {
  kUnknown,  // the program that asked did not say
  kEnd,      // it ended by itself
  kStop,     // at one of the protocol's stop strings
  kLength,   // it was cut off at the most tokens allowed
};

std::string_view stop_reason_name(AnswerEnding reason);
// kUnknown for a name that is none; other programs' "length", "max_tokens", "eos", "stop" are understood.
AnswerEnding parse_stop_reason(std::string_view name);

struct Answer {
  std::string question;                 // Question::id
  std::string prompt{};                 // the user's turn, "<image>" where a picture goes; empty: unknown
  std::vector<std::string> pictures{};  // names of the pictures shown
  std::string text{};                   // raw, as the model wrote it
  std::int64_t tokens = -1;             // of the answer; -1: unknown
  AnswerEnding stop = AnswerEnding::kUnknown;
  std::vector<double> choices{};  // log-probability of every choice, in nats; likelihood tasks alone
  std::string benchmark{};        // its name, or empty in files of other programs
  std::string asking{};           // Protocol::asking that it was asked by, or empty
  std::string place{};            // "answers.jsonl:12", for messages; not kept
  std::int64_t row = -1;          // the question's number where no id was given (lmms-eval); -1: has an id
};

// The record that answers.jsonl keeps, on one line.
std::string answer_line(const Answer& answer);

// The answer in one record: Striate's own, or another program's whose fields are named otherwise (docs/evaluation.md
// lists them). Throws CorruptData, beginning with `place`, where there is no id or no text.
Answer read_answer(const nlohmann::json& record, const std::string& place);

}  // namespace striate

#include "striate/answers/answer.h"

#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

using nlohmann::json;

constexpr std::string_view kRecordHint =
    R"(an answer is {"question_id": ..., "text": "..."}; docs/evaluation.md lists the other forms)";

const json* first_field(const json& record, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const auto found = record.find(name);
    if (found != record.end() && !found->is_null()) return &*found;
  }
  return nullptr;
}

// An id or a text: strings as they are, numbers and truth values as they are written.
std::string scalar_text(const json& value, const std::string& place, const std::string& name) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  throw corrupt_data(cat(place, ": \"", name, "\" is neither text nor a number"), std::string(kRecordHint));
}

// lmms-eval and lm-evaluation-harness: "resps" is a list of lists of texts, of which the first counts.
const json* first_leaf(const json* value) {
  while (value != nullptr && value->is_array()) value = value->empty() ? nullptr : &value->front();
  return value;
}

void read_id(Answer& answer, const json& record) {
  if (const json* id = first_field(record, {"question_id", "questionId", "index", "id"})) {
    answer.question = scalar_text(*id, answer.place, "question_id");
    return;
  }
  const json* inside = first_field(record, {"doc"});
  if (inside != nullptr && inside->is_object()) {
    if (const json* id = first_field(*inside, {"question_id", "questionId", "index", "id"})) {
      answer.question = scalar_text(*id, answer.place, "doc.question_id");
      return;
    }
  }
  const json* row = first_field(record, {"doc_id"});
  if (row == nullptr || !row->is_number_integer() || row->get<std::int64_t>() < 0) {
    throw corrupt_data(answer.place + ": the answer does not say to which question it belongs",
                       std::string(kRecordHint));
  }
  answer.row = row->get<std::int64_t>();
}

void read_text(Answer& answer, const json& record) {
  const json* text = first_leaf(first_field(record, {"text", "prediction", "answer", "response", "output"}));
  if (text == nullptr) text = first_leaf(first_field(record, {"resps", "filtered_resps"}));
  if (text == nullptr && answer.choices.empty()) {
    throw corrupt_data(answer.place + ": the answer has no text", std::string(kRecordHint));
  }
  if (text != nullptr) answer.text = scalar_text(*text, answer.place, "text");
}

void read_choices(Answer& answer, const json& record) {
  const json* choices = first_field(record, {"choices"});
  if (choices == nullptr || !choices->is_array()) return;
  for (const json& choice : *choices) {
    if (!choice.is_number()) {
      throw corrupt_data(answer.place + ": \"choices\" is not a list of log-probabilities", std::string(kRecordHint));
    }
    answer.choices.push_back(choice.get<double>());
  }
}

std::string text_or_empty(const json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

}  // namespace

std::string_view stop_reason_name(AnswerEnding reason) {
  constexpr std::array<std::string_view, 4> kNames = {"", "end", "stop", "length"};
  return kNames[static_cast<std::size_t>(reason)];
}

AnswerEnding parse_stop_reason(std::string_view name) {
  if (name == "end" || name == "eos") return AnswerEnding::kEnd;
  if (name == "stop") return AnswerEnding::kStop;
  if (name == "length" || name == "max_tokens") return AnswerEnding::kLength;
  return AnswerEnding::kUnknown;
}

std::string answer_line(const Answer& answer) {
  nlohmann::ordered_json record = {{"question_id", answer.question}};
  if (!answer.benchmark.empty()) record["benchmark"] = answer.benchmark;
  if (!answer.asking.empty()) record["asking"] = answer.asking;
  record["prompt"] = answer.prompt;
  if (!answer.pictures.empty()) record["pictures"] = answer.pictures;
  record["text"] = answer.text;
  if (answer.tokens >= 0) record["tokens"] = answer.tokens;
  if (answer.stop != AnswerEnding::kUnknown) record["stop"] = stop_reason_name(answer.stop);
  if (!answer.choices.empty()) record["choices"] = answer.choices;
  return record.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Answer read_answer(const json& record, const std::string& place) {
  if (!record.is_object()) throw corrupt_data(place + ": the answer is not an object", std::string(kRecordHint));
  Answer answer;
  answer.place = place;
  read_id(answer, record);
  read_choices(answer, record);
  read_text(answer, record);
  answer.prompt = text_or_empty(record, "prompt");
  answer.benchmark = text_or_empty(record, "benchmark");
  answer.asking = text_or_empty(record, "asking");
  const std::string stop = text_or_empty(record, "stop");
  answer.stop = parse_stop_reason(stop.empty() ? text_or_empty(record, "finish_reason") : stop);
  const auto tokens = record.find("tokens");
  if (tokens != record.end() && tokens->is_number_integer()) answer.tokens = tokens->get<std::int64_t>();
  const auto pictures = record.find("pictures");
  if (pictures != record.end() && pictures->is_array()) {
    for (const json& picture : *pictures) {
      if (picture.is_string()) answer.pictures.push_back(picture.get<std::string>());
    }
  }
  return answer;
}

}  // namespace striate

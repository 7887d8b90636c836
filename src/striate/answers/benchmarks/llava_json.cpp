// Questions of your own: any data set in LLaVA's training form, scored by any rule.
#include <algorithm>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& llava_json_file() {
  static const NeededFile file{{"*.json", "*.jsonl"},
                               "samples {\"id\", \"image\", \"conversations\": [question, answer]}",
                               "your own data; `data` may name the file itself"};
  return file;
}

// The first exchange of a sample; what follows it in a conversation is not asked.
Question llava_json_question(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "id", std::to_string(row.number));
  const nlohmann::json& turns = field_of(row, "conversations");
  if (!turns.is_array() || turns.size() < 2) bad_row(row, "\"conversations\" is not a question and its answer");
  question.asked = text_of(Row{turns[0], {}, row.place}, "value");
  question.text = std::string(python::strip(python::replace(question.asked, "<image>", "")));
  question.references = {text_of(Row{turns[1], {}, row.place}, "value")};
  question.box = first_box(question.references[0]);
  if (has(row, "image")) question.pictures = texts_of(row, "image");
  if (has(row, "category")) question.kinds["category"] = {text_of(row, "category")};
  return question;
}

QuestionSet read_llava_json(const DataFolder& data) {
  QuestionSet set;
  data.each_row(data.require(llava_json_file()),
                [&](const Row& row) { set.questions.push_back(llava_json_question(row)); });
  return set;
}

std::vector<Protocol> llava_json_protocols() {
  std::vector<Protocol> all;
  for (const ScoringRule& rule : scoring_rules()) {
    all.push_back(text_protocol({rule.name, "as-written-128", "the question as the data set has it", rule.name, 128,
                                 [](const Question& question, const QuestionSet&) { return question.asked; }}));
    all.back().headline_name = rule.name;
  }
  // What is asked and compared by, where nothing else is said.
  std::ranges::stable_partition(all, [](const Protocol& protocol) { return protocol.name == "exact"; });
  return all;
}

}  // namespace

Benchmark llava_json_benchmark() {
  return {.name = "llava-json",
          .title = "Questions of your own, in LLaVA's JSON",
          .measures = "whatever you ask; exact, vqa, contains, anls, iou and every other rule score it",
          .files = {llava_json_file()},
          .pictures = "yours",
          .kinds = {"category"},
          .protocols = llava_json_protocols(),
          .read = read_llava_json};
}

}  // namespace striate

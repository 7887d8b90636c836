// VQAv2: everyday questions about COCO pictures. Source: Goyal et al., CVPR 2017.
#include <unordered_map>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/prompts.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& vqav2_questions_file() {
  static const NeededFile file{{"v2_OpenEnded_mscoco_val2014_questions.json", "*vqav2_mscoco_test*.jsonl"},
                               "questions: of val, or of test-dev as LLaVA and Bunny ask them",
                               "https://visualqa.org/download.html, or eval/vqav2 of github.com/BAAI-DCAI/Bunny"};
  return file;
}

const NeededFile& vqav2_annotations_file() {
  static const NeededFile file{{"v2_mscoco_val2014_annotations.json"},
                               "ten answers to each question of val",
                               "https://visualqa.org/download.html",
                               true};
  return file;
}

const NeededFile& vqav2_tables() {
  static const NeededFile file =
      question_tables("", "validation", "", "huggingface.co/datasets/lmms-lab-encoder/VQAv2");
  return file;
}

std::string coco_name(const std::string& image) {
  const std::string zeros(image.size() < 12 ? 12 - image.size() : 0, '0');
  return cat("COCO_val2014_", zeros, image, ".jpg");
}

Question vqav2_question(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "question_id");
  if (has(row, "text")) {
    question.text = text_of(row, "text");
    question.text = question.text.substr(0, question.text.find(kSingleWord));
    question.pictures = {text_of(row, "image")};
  } else {
    question.text = text_of(row, "question");
    question.pictures = {coco_name(text_of(row, "image_id"))};
  }
  return question;
}

void take_annotation(Question& question, const Row& row) {
  const nlohmann::json& answers = field_of(row, "answers");
  std::vector<std::string> references;
  for (const auto& answer : answers) references.push_back(text_of(Row{answer, {}, row.place}, "answer"));
  if (references.empty()) bad_row(row, "there are no answers");
  question.kinds["answer"] = {text_of(row, "answer_type", "other")};
  question.references = std::move(references);
}

QuestionSet read_vqav2(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(vqav2_tables(), {vqav2_questions_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) {
      Question question = vqav2_question(row);
      if (has(row, "image")) {
        question.pictures = pictures_of(row);
        question.picture_id = text_of(row, "image_id", "");
      }
      take_annotation(question, row);
      set.questions.push_back(std::move(question));
    });
    return set;
  }
  std::unordered_map<std::string, std::size_t> places;
  data.each_row(data.require(vqav2_questions_file()), "questions", [&](const Row& row) {
    set.questions.push_back(vqav2_question(row));
    places[set.questions.back().publisher_id] = set.questions.size() - 1;
  });
  const auto path = data.find(vqav2_annotations_file());
  if (!path || path == data.path()) {
    set.no_references = data.missing(vqav2_annotations_file());
    return set;
  }
  data.each_row(*path, "annotations", [&](const Row& row) {
    const auto place = places.find(text_of(row, "question_id"));
    if (place == places.end()) bad_row(row, "its question is not in the file of questions");
    take_annotation(set.questions[place->second], row);
  });
  leave_out(
      set, data, [](const Question& question) { return question.references.empty(); }, "has no annotation");
  return set;
}

std::vector<Protocol> vqav2_protocols() {
  const std::string rule = "the question, then \"Answer the question using a single word or phrase.\"";
  Protocol llava =
      text_protocol({"llava", "single-word-128", rule, "textvqa", 128, plain_prompt(kImageLine, kSingleWord)});
  llava.notes = {"LLaVA and Bunny upload test-dev to a server; on val its score is about the same"};
  Protocol lmms =
      text_protocol({"lmms-eval", "single-word-16", rule, "vqav2", 16, plain_prompt(kImageLine, kSingleWord)});
  std::vector<Protocol> all = {llava, lmms, rescored(llava, "strict", "vqav2")};
  for (Protocol& protocol : all) protocol.headline_name = "VQA accuracy";
  return all;
}

}  // namespace

Benchmark vqav2_benchmark() {
  return {.name = "vqav2",
          .title = "VQAv2 (val; test-dev can be asked, and is scored by a server)",
          .measures = "everyday questions about photographs; VQA accuracy over ten annotators",
          .files = {vqav2_questions_file(), vqav2_annotations_file(), vqav2_tables()},
          .pictures = "http://images.cocodataset.org/zips/val2014.zip",
          .kinds = {"answer"},
          .protocols = vqav2_protocols(),
          .read = read_vqav2};
}

}  // namespace striate

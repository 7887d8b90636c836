// SEED-Bench, the part with single pictures. Source: Li et al., CVPR 2024; convert_seed_for_submission.py.
#include <map>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/prompts.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& seed_file() {
  static const NeededFile file{
      {"SEED-Bench.json"}, "questions, choices and answers", "huggingface.co/datasets/AILab-CVC/SEED-Bench"};
  return file;
}

const NeededFile& seed_tables() {
  static const NeededFile file =
      question_tables("SEEDBench_IMG", "test", "",
                      "VLMEvalKit (SEEDBench_IMG.tsv), or huggingface.co/datasets/lmms-lab-encoder/SEED-Bench");
  return file;
}

std::map<std::string, std::string> seed_type_names(const std::filesystem::path& path) {
  std::map<std::string, std::string> names;
  const auto rows = open_rows(path);
  while (const auto row = rows->next()) {
    if (row->key != "question_type" || !row->fields.is_object()) continue;
    for (const auto& [name, number] : row->fields.items()) names[number.dump()] = name;
  }
  return names;
}

Question seed_question(const Row& row, const std::map<std::string, std::string>& types) {
  Question question;
  question.publisher_id = text_of(row, "question_id");
  question.text = text_of(row, "question");
  for (const char* choice : {"choice_a", "choice_b", "choice_c", "choice_d"}) {
    question.options.push_back(text_of(row, choice));
  }
  find_missing_options(question);
  question.references = {text_of(row, "answer")};
  question.pictures = {"SEED-Bench-image/" + text_of(row, "data_id")};
  const std::string type = text_of(row, "question_type_id", "");
  const auto name = types.find(type);
  question.kinds["type"] = {name == types.end() ? type : name->second};
  return question;
}

// A row of VLMEvalKit's table (index, A, B, ...) or lmms-eval's (question_id, choice_a, ...).
Question seed_row(const Row& row) {
  Question question;
  question.publisher_id = text_of_first(row, {"question_id", "index"});
  question.text = text_of(row, "question");
  take_options(question, row);
  for (const char* choice : {"choice_a", "choice_b", "choice_c", "choice_d"}) {
    if (has(row, choice)) question.options.push_back(text_of(row, choice));
  }
  find_missing_options(question);
  question.references = {text_of(row, "answer")};
  question.pictures = pictures_of(row);
  question.picture_id = text_of(row, "data_id", "");
  question.kinds["type"] = {text_of_first(row, {"category", "question_type_id"}, "unknown")};
  return question;
}

QuestionSet read_seed(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(seed_tables(), {seed_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) {
      if (text_of(row, "data_type", "image") == "image") set.questions.push_back(seed_row(row));
    });
    note_missing_options(set);
    return set;
  }
  const std::filesystem::path path = data.require(seed_file());
  const std::map<std::string, std::string> types = seed_type_names(path);
  data.each_row(path, "questions", [&](const Row& row) {
    if (text_of(row, "data_type", "image") == "image") set.questions.push_back(seed_question(row, types));
  });
  note_missing_options(set);
  return set;
}

// LLaVA reads prompts that were made of the publisher's JSON, and lmms-eval reads Parquet: neither reads with pandas.
std::string seed_prompt(const Question& question, const QuestionSet&) {
  return cat(question.pictures.empty() ? "" : kImageLine, question.text, lettered_options(question), kLetterDirectly);
}

std::vector<Protocol> seed_protocols() {
  Protocol llava = text_protocol({"llava", "letter-128",
                                  "the question, lettered choices, then \"Answer with the "
                                  "option's letter from the given choices directly.\"",
                                  "exact", 128, seed_prompt});
  llava.missing_is_wrong = true;
  llava.notes = {"\"A.\" is wrong where A is right, and a question without an answer is wrong"};
  Protocol lmms = text_protocol({"lmms-eval", "letter-1024", "as llava", "letter-first", 1024, seed_prompt});
  const Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-letter-2048", "as llava, after \" <image> \"",
                                      "mmbench", 2048, vlmevalkit_choice_prompt()});
  return {llava, kit, lmms, renamed(llava, "paper", llava.notes), rescored(llava, "strict", "letter-strict")};
}

}  // namespace

Benchmark seed_benchmark() {
  return {.name = "seed",
          .title = "SEED-Bench (pictures: SEED-IMG)",
          .measures = "nine kinds of questions about one picture, by multiple choice",
          .files = {seed_file(), seed_tables()},
          .pictures = "SEED-Bench-image.zip of huggingface.co/datasets/AILab-CVC/SEED-Bench",
          .kinds = {"type"},
          .protocols = seed_protocols(),
          .read = read_seed};
}

}  // namespace striate

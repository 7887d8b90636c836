// OCR-VQA, test: questions about book covers. Source: Mishra et al., ICDAR 2019; eval_vqa_distri.py.
#include "striate/answers/benchmarks/all.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

constexpr std::int64_t kTestSplit = 3;

const NeededFile& ocrvqa_file() {
  static const NeededFile file{{"ocr_select.jsonl", "ocrvqa_test.jsonl", "dataset.json"},
                               "questions and answers: the authors' selection, or the official file",
                               "https://ocr-vqa.github.io (dataset.json)"};
  return file;
}

const NeededFile& ocrvqa_tables() {
  static const NeededFile file =
      question_tables("OCRVQA_TEST", "test", "", "VLMEvalKit (OCRVQA_TEST.tsv, OCRVQA_TESTCORE.tsv)");
  return file;
}

void add_ocrvqa(QuestionSet& set, std::string id, std::string picture, std::string text,
                std::vector<std::string> references) {
  Question question;
  question.publisher_id = std::move(id);
  question.text = std::move(text);
  question.pictures = {std::move(picture)};
  question.references = std::move(references);
  const std::string answer = question.references.empty() ? "" : python::lower(question.references[0]);
  question.kinds["answer"] = {answer == "yes" || answer == "no" ? "yes or no" : "text"};
  set.questions.push_back(std::move(question));
}

// A line of the authors' file: one question.
void read_selected(QuestionSet& set, const Row& row) {
  const std::string image = text_of(row, "image");
  add_ocrvqa(set, text_of(row, "question_id"), image.substr(image.rfind('/') + 1), text_of(row, "question"),
             texts_of(row, "answer"));
}

// A book of the official file: several questions.
void read_book(QuestionSet& set, const Row& row) {
  if (whole_of(row, "split") != kTestSplit) return;
  const std::vector<std::string> questions = texts_of(row, "questions"), answers = texts_of(row, "answers");
  if (questions.size() != answers.size()) bad_row(row, "not one answer for each question");
  const std::string url = text_of(row, "imageURL", ".jpg");
  for (std::size_t i = 0; i < questions.size(); ++i) {
    add_ocrvqa(set, cat(row.key, "_", i), row.key + url.substr(std::min(url.rfind('.'), url.size())), questions[i],
               {answers[i]});
  }
}

QuestionSet read_ocrvqa(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(ocrvqa_tables(), {ocrvqa_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) {
      const std::vector<std::string> pictures = pictures_of(row);
      add_ocrvqa(set, text_of_first(row, {"index", "question_id"}), pictures.empty() ? "" : pictures[0],
                 text_of(row, "question"), texts_of(row, "answer"));
    });
    return set;
  }
  data.each_row(data.require(ocrvqa_file()), [&](const Row& row) {
    if (row.key.empty()) {
      read_selected(set, row);
    } else {
      read_book(set, row);
    }
  });
  return set;
}

std::vector<Protocol> ocrvqa_protocols() {
  Protocol paper =
      text_protocol({"paper", "one-words-100",
                     "\"Please answer the question in one words.\", then the "
                     "question",
                     "ocrvqa-contains", 100, plain_prompt("<image>\nPlease answer the question in one words.\n", "")});
  paper.notes = {"called exact match, it is containment either way: an empty answer scores 1",
                 "the prompt that the script defines (\"single word or phrase\") is never used"};
  const Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-single-word-2048",
                                      "the question after \" <image> \", then \"Answer the question using a single "
                                      "word or phrase.\"",
                                      "exact-caseless", 2048, vlmevalkit_prompt(kSingleWord)});
  const Protocol strict = text_protocol({"strict", "single-word-128",
                                         "the question, then \"Answer the question using "
                                         "a single word or phrase.\"",
                                         "exact-caseless", 128, plain_prompt(kImageLine, kSingleWord)});
  return {paper, kit, strict};
}

}  // namespace

Benchmark ocrvqa_benchmark() {
  return {.name = "ocrvqa",
          .title = "OCR-VQA (test)",
          .measures = "reading book covers: title, author, genre, year",
          .files = {ocrvqa_file(), ocrvqa_tables()},
          .pictures = "the addresses in dataset.json, by the loader of https://ocr-vqa.github.io",
          .kinds = {"answer"},
          .protocols = ocrvqa_protocols(),
          .read = read_ocrvqa};
}

}  // namespace striate

// DocVQA, val: questions about scanned documents. Source: Mathew et al., WACV 2021; infographicsvqa_eval.py.
#include "striate/answers/benchmarks/all.h"
#include "striate/answers/prompts.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& docvqa_file() {
  static const NeededFile file{{"val_v1.0_withQT.json", "val_v1.0.json", "val.jsonl"},
                               "questions and answers of the validation split",
                               "rrc.cvc.uab.es, challenge 17 (needs an account)"};
  return file;
}

const NeededFile& docvqa_tables() {
  static const NeededFile file =
      question_tables("DocVQA_VAL", "validation", "DocVQA",
                      "VLMEvalKit (DocVQA_VAL.tsv), or huggingface.co/datasets/lmms-lab-encoder/DocVQA");
  return file;
}

Question docvqa_question(const Row& row) {
  Question question;
  question.publisher_id = text_of_first(row, {"questionId", "question_id", "index"});
  question.text = text_of(row, "question");
  question.pictures = pictures_of(row);
  if (has(row, "ucsf_document_id")) {
    question.picture_id = cat(text_of(row, "ucsf_document_id"), "_", text_of(row, "ucsf_document_page_no", ""));
  }
  if (has(row, "answers")) question.references = texts_of(row, "answers");
  if (has(row, "answer")) question.references = texts_of(row, "answer");
  if (question.references.empty()) bad_row(row, "there is no answer: the test split is scored by a server alone");
  if (has(row, "question_types")) question.kinds["type"] = texts_of(row, "question_types");
  return question;
}

QuestionSet read_docvqa(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(docvqa_tables(), {docvqa_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) { set.questions.push_back(docvqa_question(row)); });
    return set;
  }
  data.each_row(data.require(docvqa_file()), "data",
                [&](const Row& row) { set.questions.push_back(docvqa_question(row)); });
  return set;
}

std::vector<Protocol> docvqa_protocols() {
  Protocol paper =
      text_protocol({"paper", "one-words-100",
                     "\"Please answer the question in one words.\", then the "
                     "question",
                     "docvqa-anls", 100, plain_prompt("<image>\nPlease answer the question in one words.\n", "")});
  paper.notes = {"the prompt that the script defines (\"single word or phrase\") is never used"};
  const Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-single-word-2048",
                                      "the question after \" <image> \", then \"Answer the question using a single "
                                      "word or phrase.\"",
                                      "docvqa-anls", 2048, vlmevalkit_prompt(kSingleWord)});
  const Protocol lmms = text_protocol({"lmms-eval", "single-word-32",
                                       "the question, then \"Answer the question using "
                                       "a single word or phrase.\"",
                                       "docvqa-anls", 32, plain_prompt(kImageLine, kSingleWord)});
  std::vector<Protocol> all = {paper, kit, lmms, rescored(lmms, "strict", "anls")};
  for (Protocol& protocol : all) protocol.headline_name = "ANLS";
  return all;
}

}  // namespace

Benchmark docvqa_benchmark() {
  return {.name = "docvqa",
          .title = "DocVQA (val)",
          .measures = "reading documents; ANLS, which gives nearly right answers a part",
          .files = {docvqa_file(), docvqa_tables()},
          .pictures = "rrc.cvc.uab.es, challenge 17",
          .kinds = {"type"},
          .protocols = docvqa_protocols(),
          .read = read_docvqa};
}

}  // namespace striate

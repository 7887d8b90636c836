// TextVQA, val (v0.5.1): questions about text in pictures, with or without the text that an OCR program read.
// Source: Singh et al., CVPR 2019; eval_textvqa.py.
#include <map>
#include <utility>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

constexpr std::string_view kOcrMark = "\nReference OCR token: ";

const NeededFile& textvqa_annotations_file() {
  static const NeededFile file{{"TextVQA_0.5.1_val.json"},
                               "questions and ten answers each",
                               "https://dl.fbaipublicfiles.com/textvqa/data/TextVQA_0.5.1_val.json"};
  return file;
}

const NeededFile& textvqa_asked_file() {
  static const NeededFile file{{"*textvqa_val*ocr*.jsonl"},
                               "the questions with the OCR tokens that llava and paper put into the prompt",
                               "eval/textvqa of github.com/BAAI-DCAI/Bunny, or LLaVA's eval.zip",
                               true};
  return file;
}

const NeededFile& textvqa_tables() {
  static const NeededFile file =
      question_tables("TextVQA_VAL", "validation", "",
                      "VLMEvalKit (TextVQA_VAL.tsv), or huggingface.co/datasets/lmms-lab-encoder/textvqa");
  return file;
}

Question textvqa_asked(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "question_id");
  question.asked = text_of(row, "text");
  const std::string text = question.asked.substr(0, question.asked.find(kSingleWord));
  const std::size_t mark = text.find(kOcrMark);
  question.text = text.substr(0, mark);
  question.pictures = {text_of(row, "image")};
  return question;
}

std::string answer_text(const nlohmann::json& item, const Row& row) {
  if (item.is_string()) return item.get<std::string>();
  return text_of(Row{item, {}, row.place}, "answer");
}

Question textvqa_annotated(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "image_id");
  question.text = text_of(row, "question");
  question.pictures = {question.publisher_id + ".jpg"};
  if (!has(row, "answers")) return question;
  for (const auto& item : row.fields.at("answers")) question.references.push_back(answer_text(item, row));
  if (question.references.size() != 10) {
    bad_row(row, cat(question.references.size(), " answers, where VQA accuracy needs ten"));
  }
  return question;
}

// A row of VLMEvalKit's table (index, answer: a Python list) or lmms-eval's (question_id, answers).
Question textvqa_row(const Row& row) {
  Question question;
  question.publisher_id = text_of_first(row, {"question_id", "index"});
  question.text = text_of(row, "question");
  question.pictures = pictures_of(row);
  question.picture_id = text_of(row, "image_id", "");
  question.references = texts_of(row, has(row, "answers") ? "answers" : "answer");
  if (question.references.size() != 10) {
    bad_row(row, cat(question.references.size(), " answers, where VQA accuracy needs ten"));
  }
  return question;
}

QuestionSet read_textvqa(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(textvqa_tables(), {textvqa_annotations_file(), textvqa_asked_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) { set.questions.push_back(textvqa_row(row)); });
    return set;
  }
  const auto annotations = data.find(textvqa_annotations_file());
  const auto asked = data.find(textvqa_asked_file());
  if (!annotations && !asked) throw data.missing(textvqa_annotations_file());
  // As the script: by picture and by the question in lower case.
  std::map<std::pair<std::string, std::string>, std::size_t> places;
  if (annotations) {
    data.each_row(*annotations, "data", [&](const Row& row) {
      set.questions.push_back(textvqa_annotated(row));
      const Question& question = set.questions.back();
      places[{question.publisher_id, python::lower(question.text)}] = set.questions.size() - 1;
    });
  } else {
    set.no_references = data.missing(textvqa_annotations_file());
  }
  if (!asked || asked == annotations) return set;
  const std::size_t bad_before = data.bad_rows().skipped().size();
  data.each_row(*asked, [&](const Row& row) {
    Question question = textvqa_asked(row);
    const auto place = places.find({question.publisher_id, python::lower(question.text)});
    if (place != places.end()) {
      set.questions[place->second].asked = question.asked;
    } else if (annotations) {
      bad_row(row, cat("the question is not in ", annotations->string()));
    } else {
      set.questions.push_back(std::move(question));
    }
  });
  if (data.bad_rows().skipped().size() > bad_before) {
    leave_out(
        set, data, [](const Question& question) { return question.asked.empty(); }, "has no OCR tokens");
  }
  return set;
}

std::string textvqa_ocr_prompt(const Question& question, const QuestionSet&) {
  // The line of OCR tokens is there even where no token was read.
  return question.asked.empty() ? cat(kImageLine, question.text, kSingleWord) : cat(kImageLine, question.asked);
}

// Python's str.capitalize(), which makes all but the first letter small (ASCII letters are made capital).
std::string textvqa_capitalised(const Question& question, const QuestionSet&) {
  std::string text = python::lower(question.text);
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return cat(kImageLine, text, kSingleWord);
}

std::vector<Protocol> textvqa_protocols() {
  const Protocol llava = text_protocol({"llava", "ocr-single-word-128",
                                        "the question, a line \"Reference OCR token: ...\", then \"Answer the question "
                                        "using a single word or phrase.\"",
                                        "textvqa", 128, textvqa_ocr_prompt});
  const Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-single-word-2048",
                                      "the question without OCR tokens, after \" <image> \"", "vqa-vlmevalkit", 2048,
                                      vlmevalkit_prompt(kSingleWord)});
  Protocol lmms = text_protocol({"lmms-eval", "capitalised-single-word",
                                 "the question without OCR tokens, all but its "
                                 "first letter small",
                                 "textvqa", 1024, textvqa_capitalised});
  lmms.notes = {"lmms-eval leaves the number of tokens to the model's own settings; 1024 here"};
  Protocol strict = text_protocol({"strict", "single-word-128", "the question without OCR tokens", "textvqa", 128,
                                   plain_prompt(kImageLine, kSingleWord)});
  const Protocol paper = renamed(llava, "paper", {"OCR tokens in the prompt are worth about 12 points"});
  return {llava, kit, lmms, paper, strict};
}

}  // namespace

Benchmark textvqa_benchmark() {
  return {.name = "textvqa",
          .title = "TextVQA (val)",
          .measures = "reading text in pictures; VQA accuracy over ten annotators",
          .files = {textvqa_annotations_file(), textvqa_asked_file(), textvqa_tables()},
          .pictures = "https://dl.fbaipublicfiles.com/textvqa/images/train_val_images.zip",
          .protocols = textvqa_protocols(),
          .read = read_textvqa};
}

}  // namespace striate

// MMMU, val: college subjects. Source: Yue et al., CVPR 2024; eval_mmmu.py.
#include <algorithm>
#include <map>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& mmmu_questions_file() {
  static const NeededFile file{{"mmmu_val*.jsonl", "validation*.jsonl"},
                               "questions and options (columns id, question, options, question_type, image_1)",
                               "huggingface.co/datasets/MMMU/MMMU, converted to JSON Lines",
                               true};
  return file;
}

const NeededFile& mmmu_answers_file() {
  static const NeededFile file{{"answer_dict_val.json"}, "right answers", "eval/mmmu of github.com/BAAI-DCAI/Bunny"};
  return file;
}

const NeededFile& mmmu_tables() {
  static const NeededFile file =
      question_tables("MMMU_DEV_VAL", "validation", "*",
                      "VLMEvalKit (MMMU_DEV_VAL.tsv), or huggingface.co/datasets/MMMU/MMMU and lmms-lab-encoder/MMMU");
  return file;
}

const std::map<std::string, std::string>& mmmu_domains() {
  static const std::map<std::string, std::string> domains = [] {
    const std::map<std::string, std::vector<std::string>> subjects = {
        {"Art and Design", {"Art", "Art_Theory", "Design", "Music"}},
        {"Business", {"Accounting", "Economics", "Finance", "Manage", "Marketing"}},
        {"Science", {"Biology", "Chemistry", "Geography", "Math", "Physics"}},
        {"Health and Medicine",
         {"Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine", "Pharmacy",
          "Public_Health"}},
        {"Humanities and Social Science", {"History", "Literature", "Sociology", "Psychology"}},
        {"Tech and Engineering",
         {"Agriculture", "Architecture_and_Engineering", "Computer_Science", "Electronics", "Energy_and_Power",
          "Materials", "Mechanical_Engineering"}}};
    std::map<std::string, std::string> map;
    for (const auto& [domain, list] : subjects) {
      for (const std::string& subject : list) map[subject] = domain;
    }
    return map;
  }();
  return domains;
}

// "validation_Art_Theory_12" -> "Art_Theory".
void set_subject(Question& question, const Row& row) {
  const std::string& id = question.publisher_id;
  const std::size_t first = id.find('_'), last = id.rfind('_');
  if (first == std::string::npos || first == last) bad_row(row, cat("'", id, "' is not SPLIT_SUBJECT_NUMBER"));
  const std::string subject = id.substr(first + 1, last - first - 1);
  const auto domain = mmmu_domains().find(subject);
  question.kinds["subject"] = {subject};
  question.kinds["domain"] = {domain == mmmu_domains().end() ? "unknown" : domain->second};
}

Question mmmu_question(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "id");
  question.text = text_of(row, "question");
  set_subject(question, row);
  question.options = texts_of(row, "options");  // a list, or a Python literal of one
  find_missing_options(question);
  for (int i = 1; i <= 7; ++i) {
    const std::string name = cat("image_", i);
    if (has(row, name.c_str())) question.pictures.push_back(text_of(row, name.c_str()));
  }
  question.kinds["question"] = {text_of(row, "question_type")};
  if (has(row, "answer")) question.references = texts_of(row, "answer");
  return question;
}

// A row of VLMEvalKit's table: options in columns, pictures in one cell, and dev beside val.
Question mmmu_kit_row(const Row& row) {
  Question question;
  const std::string subject = python::replace(text_of(row, "category", "unknown"), " ", "_");
  question.publisher_id = text_of(row, "id", cat("validation_", subject, "_", text_of(row, "index")));
  set_subject(question, row);
  question.text = text_of(row, "question");
  take_options(question, row);
  question.pictures = pictures_of(row);
  question.references = texts_of(row, "answer");  // of an open question: one, or a Python literal of a list
  question.kinds["question"] = {question.options.empty() ? "open" : "multiple-choice"};
  return question;
}

void read_mmmu_tables(QuestionSet& set, const DataFolder& data, const std::vector<std::filesystem::path>& tables) {
  read_rows(set, data, tables, [&](const Row& row) {
    if (has(row, "options")) {
      set.questions.push_back(mmmu_question(row));
    } else if (text_of(row, "split", "validation") == "validation") {
      set.questions.push_back(mmmu_kit_row(row));
    }
  });
  note_missing_options(set);
}

QuestionSet read_mmmu(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(mmmu_tables(), {mmmu_questions_file(), mmmu_answers_file()});
  if (!tables.empty()) {
    read_mmmu_tables(set, data, tables);
    return set;
  }
  std::map<std::string, std::size_t> places;
  const auto questions = data.find(mmmu_questions_file());
  if (questions && questions->extension() == ".jsonl") {
    data.each_row(*questions, [&](const Row& row) {
      set.questions.push_back(mmmu_question(row));
      places[set.questions.back().publisher_id] = set.questions.size() - 1;
    });
    note_missing_options(set);
  }
  const bool has_questions = !set.questions.empty();
  const auto answers = data.find(mmmu_answers_file());
  if (!answers && !has_questions) throw data.missing(mmmu_answers_file());
  if (!answers || answers == questions) return set;
  const std::size_t bad_before = data.bad_rows().skipped().size();
  data.each_row(*answers, [&](const Row& row) {
    const auto place = places.find(row.key);
    if (has_questions && place == places.end()) return;
    Question question;
    question.publisher_id = row.key;
    question.references = texts_of(row, "ground_truth");
    question.kinds["question"] = {text_of(row, "question_type")};
    set_subject(question, row);
    if (!has_questions) {
      set.questions.push_back(std::move(question));
      return;
    }
    set.questions[place->second].references = std::move(question.references);
    set.questions[place->second].kinds = std::move(question.kinds);
  });
  if (data.bad_rows().skipped().size() > bad_before) {
    leave_out(
        set, data, [](const Question& question) { return question.references.empty(); }, "has no answer");
  }
  return set;
}

// Whether it is asked with options; they are unknown where Bunny's file of right answers is all there is.
bool is_mmmu_choice(const Question& question) {
  const auto kind = question.kinds.find("question");
  return kind != question.kinds.end() && kind->second[0] == "multiple-choice";
}

// One rule for questions with options, another for the others.
std::function<Judgement(const Question&, const std::string&)> mmmu_judge(std::string_view choice) {
  return [choice = judge_by(choice), open = judge_by("mmmu-open")](const Question& question, const std::string& text) {
    return is_mmmu_choice(question) ? choice(question, text) : open(question, text);
  };
}

// An open question as VLMEvalKit's MMMU_preproc() makes a choice of it: the right answer is A. It does so wherever
// pandas finds no option A.
Question mmmu_as_choice(const Question& question) {
  const std::vector<std::string>& right = question.references;
  Question choice = question;
  choice.options.resize(std::max<std::size_t>(2, choice.options.size()));
  choice.options[0] = right.size() == 1 ? right[0] : cat("['", join(right, "', '"), "']");  // as the table has a list
  choice.options[1] = "Other Answers";
  std::erase_if(choice.missing_options, [](char letter) { return letter == 'A' || letter == 'B'; });
  const bool is_letter = right.size() == 1 && right[0].size() == 1 && right[0][0] >= 'A' && right[0][0] <= 'Z';
  if (!is_letter) choice.references = {"A"};
  return choice;
}

std::function<Judgement(const Question&, const std::string&)> mmmu_kit_judge() {
  return [judge = judge_by("mmbench")](const Question& question, const std::string& text) {
    const bool is_open = question.options.empty() ? !is_mmmu_choice(question) : is_missing_option(question, 0);
    return is_open ? judge(mmmu_as_choice(question), text) : judge(question, text);
  };
}

std::string mmmu_bunny_prompt(const Question& question, const QuestionSet&) {
  if (question.options.empty()) return cat(kImageLine, question.text, kSingleWord);
  std::string options;
  for (std::size_t i = 0; i < question.options.size() && i < 26; ++i) {
    options += cat("(", static_cast<char>('A' + i), ") ", question.options[i], "\n");
  }
  return cat(kImageLine, question.text, "\n", options, kLetterDirectly);
}

// Bunny's script shows image_1, however many pictures the question has.
std::vector<std::string> mmmu_first_picture(const Question& question) {
  std::vector<std::string> shown = question.pictures;
  if (shown.size() > 1) shown.resize(1);
  return shown;
}

// VLMEvalKit's LLaVA puts all pictures before the words, and leaves "<image 1>" in these as it is.
std::string mmmu_kit_prompt(const Question& question, const QuestionSet&) {
  std::string marks;
  for (std::size_t i = 0; i < question.pictures.size(); ++i) marks += " <image> ";
  const std::string options = lettered_options_of_pandas(question, false);
  return cat(marks, question.text, options, options.empty() ? "\nAnswer the question directly." : kLetterDirectly);
}

// lmms-eval shows the pictures that the question or an option names, in the order of their numbers.
std::vector<std::string> mmmu_named_pictures(const Question& question) {
  const std::string words = question.text + lettered_options(question);
  std::vector<std::string> shown;
  for (std::size_t i = 0; i < question.pictures.size(); ++i) {
    if (words.find(cat("<image ", i + 1, ">")) != std::string::npos) shown.push_back(question.pictures[i]);
  }
  return shown;
}

std::string mmmu_lmms_prompt(const Question& question, const QuestionSet&) {
  const std::size_t pictures = mmmu_named_pictures(question).size();
  const std::string marks = join(std::vector<std::string>(pictures, "<image>"), " ");
  return cat(marks, pictures == 0 ? "" : "\n", question.text, lettered_options(question), "\n",
             question.options.empty() ? kSingleWord : kLetterDirectly);
}

Protocol mmmu_protocol(TextProtocol given, std::string_view choice_rule) {
  given.rule = std::string(choice_rule);
  Protocol protocol = text_protocol(std::move(given));
  protocol.judge = mmmu_judge(choice_rule);
  protocol.scoring = cat(std::string(choice_rule), " for multiple choice, mmmu-open for the others");
  return protocol;
}

std::vector<Protocol> mmmu_protocols() {
  Protocol llava = mmmu_protocol({"llava", "bunny-letter-128",
                                  "the question, choices as \"(A) ...\", then the request "
                                  "for a letter, or for a word; the first picture alone",
                                  "", 128, mmmu_bunny_prompt},
                                 "mmmu-choice");
  llava.pictures = mmmu_first_picture;
  llava.notes = {"where Bunny's script draws a random letter, its expected score counts: 1 / choices"};
  Protocol lmms = mmmu_protocol({"lmms-eval", "letter-128",
                                 "the pictures that the words name, the question, \"A. ...\" and, after an empty line, "
                                 "the request for a letter, or for a word",
                                 "", 128, mmmu_lmms_prompt},
                                "mmmu-choice-lmms");
  lmms.pictures = mmmu_named_pictures;
  lmms.notes = {"where lmms-eval draws a random letter, its expected score counts: 1 / choices"};
  Protocol kit = mmmu_protocol({"vlmevalkit", "vlmevalkit-pictures-first-2048",
                                "all pictures, each as \" <image> \", the question, \"A. ...\", then the request for a "
                                "letter, or for an answer",
                                "", 2048, mmmu_kit_prompt},
                               "mmbench");
  kit.judge = mmmu_kit_judge();
  kit.scoring = "mmbench; an open question is a choice of the right answer as A and \"Other Answers\" as B";
  Protocol strict = llava;
  strict.name = "strict";
  strict.judge = mmmu_judge("letter-strict");
  strict.scoring = "letter-strict for multiple choice, mmmu-open for the others";
  strict.notes.clear();
  return {llava, kit, lmms, renamed(llava, "paper", llava.notes), strict};
}

}  // namespace

Benchmark mmmu_benchmark() {
  return {.name = "mmmu",
          .title = "MMMU (val)",
          .measures = "questions of thirty college subjects with figures, by choice and open",
          .files = {mmmu_questions_file(), mmmu_answers_file(), mmmu_tables()},
          .pictures = "in the Parquet files of huggingface.co/datasets/MMMU/MMMU",
          .kinds = {"domain", "subject", "question"},
          .protocols = mmmu_protocols(),
          .read = read_mmmu};
}

}  // namespace striate

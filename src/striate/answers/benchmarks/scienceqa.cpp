// ScienceQA, test, with the IMG subset that the papers report.
// Source: Lu et al., NeurIPS 2022; eval_science_qa.py.
#include <map>
#include <optional>
#include <set>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& scienceqa_asked_file() {
  static const NeededFile file{{"bunny_test_CQM-A*.json", "llava_test_CQM-A*.json"},
                               "prompts, choices and answers of the test questions",
                               "eval/scienceqa of github.com/BAAI-DCAI/Bunny, or LLaVA's eval.zip"};
  return file;
}

const NeededFile& scienceqa_problems_file() {
  static const NeededFile file{{"problems.json", "answer_key*.json"},
                               "choices and right answers",
                               "data/scienceqa of github.com/lupantech/ScienceQA",
                               true};
  return file;
}

const NeededFile& scienceqa_splits_file() {
  static const NeededFile file{
      {"pid_splits.json"}, "which questions are the test", "data/scienceqa of github.com/lupantech/ScienceQA", true};
  return file;
}

const NeededFile& scienceqa_tables() {
  static const NeededFile file =
      question_tables("ScienceQA_TEST", "test", "ScienceQA-*",
                      "VLMEvalKit (ScienceQA_TEST.tsv), or huggingface.co/datasets/lmms-lab-encoder/ScienceQA");
  return file;
}

std::string letter_at(std::int64_t index, const Row& row) {
  if (index < 0 || index > 25) bad_row(row, "\"answer\" is not the number of a choice");
  return std::string(1, static_cast<char>('A' + index));
}

// "Context: HINT\nQUESTION\nA. false\nB. true" apart: the lettered options at the end, of which one may have several
// lines, and the words before them. Without two options it is all words.
void take_prompt_apart(Question& question, const std::string& prompt) {
  constexpr std::string_view kContext = "Context: ";
  question.text = prompt.substr(prompt.starts_with(kContext) ? kContext.size() : 0);
  const std::size_t first = question.text.rfind("\nA. ");
  if (first == std::string::npos) return;
  std::vector<std::string> options;
  for (const std::string& line : split(std::string_view(question.text).substr(first + 1), '\n')) {
    const std::string mark{static_cast<char>('A' + options.size()), '.', ' '};
    if (options.size() < 26 && line.starts_with(mark)) {
      options.push_back(line.substr(mark.size()));
    } else {
      options.back() += cat("\n", line);
    }
  }
  if (options.size() < 2) return;
  question.text.resize(first);
  question.options = std::move(options);
}

void set_modality(Question& question) {
  question.kinds["modality"] = {question.pictures.empty() ? "text" : "picture"};
}

// A sample in LLaVA's training form: the prompt is the human turn, the answer's letter the other.
Question scienceqa_sample(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "id");
  const nlohmann::json& turns = field_of(row, "conversations");
  if (!turns.is_array() || turns.size() < 2) bad_row(row, "\"conversations\" is not a question and its answer");
  question.asked = text_of(Row{turns[0], {}, row.place}, "value");
  take_prompt_apart(question, std::string(python::strip(python::replace(question.asked, "<image>", ""))));
  find_missing_options(question);
  question.references = {text_of(Row{turns[1], {}, row.place}, "value")};
  if (has(row, "image")) question.pictures = {text_of(row, "image")};
  set_modality(question);
  return question;
}

Question scienceqa_problem(const Row& row) {
  Question question;
  question.publisher_id = row.key;
  question.text = text_of(row, "question", "");
  question.hint = text_of(row, "hint", "");
  question.options = texts_of(row, "choices");
  find_missing_options(question);
  question.references = {letter_at(whole_of(row, "answer"), row)};
  if (has(row, "image")) question.pictures = {cat(row.key, "/", text_of(row, "image"))};
  if (has(row, "subject")) question.kinds["subject"] = {text_of(row, "subject")};
  if (has(row, "grade")) question.kinds["grade"] = {text_of(row, "grade")};
  set_modality(question);
  return question;
}

// A row of VLMEvalKit's table (index, A, B, ..., a letter) or lmms-eval's (choices, the number of one, no id).
Question scienceqa_row(const Row& row, std::size_t number) {
  Question question;
  question.publisher_id = text_of(row, "index", std::to_string(number));
  question.text = text_of(row, "question");
  question.hint = cell_or_empty(row, "hint");
  if (has(row, "choices")) {
    question.options = texts_of(row, "choices");
    find_missing_options(question);
    question.references = {letter_at(whole_of(row, "answer"), row)};
  } else {
    take_options(question, row);
    question.references = {text_of(row, "answer")};
  }
  question.pictures = pictures_of(row);
  for (const char* kind : {"subject", "grade"}) {
    if (has(row, kind)) question.kinds[kind] = {text_of(row, kind)};
  }
  set_modality(question);
  return question;
}

std::optional<std::set<std::string>> scienceqa_test_ids(const DataFolder& data) {
  const auto path = data.find(scienceqa_splits_file());
  if (!path) return std::nullopt;
  const auto rows = open_rows(*path);
  while (const auto row = rows->next()) {
    if (row->key != "test") continue;
    const Row test{{{"test", row->fields}}, {}, row->place};
    const std::vector<std::string> ids = texts_of(test, "test");
    return std::set<std::string>(ids.begin(), ids.end());
  }
  return std::nullopt;
}

std::map<std::string, Question> scienceqa_problems(const DataFolder& data, const std::filesystem::path& path) {
  std::map<std::string, Question> problems;
  data.each_row(path, [&](const Row& row) { problems.emplace(row.key, scienceqa_problem(row)); });
  return problems;
}

QuestionSet read_scienceqa(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(scienceqa_tables(), {scienceqa_asked_file(), scienceqa_problems_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables,
              [&](const Row& row) { set.questions.push_back(scienceqa_row(row, set.questions.size())); });
    note_missing_options(set);
    return set;
  }
  const auto asked = data.find(scienceqa_asked_file());
  const auto key = data.find(scienceqa_problems_file());
  if (!asked && !key) throw data.missing(scienceqa_asked_file());
  const bool has_key = key && key != asked;
  const std::map<std::string, Question> problems =
      has_key ? scienceqa_problems(data, *key) : std::map<std::string, Question>();
  if (!asked) {
    const auto test = scienceqa_test_ids(data);
    for (const auto& [id, question] : problems) {
      if (!test || test->contains(id)) set.questions.push_back(question);
    }
    note_missing_options(set);
    return set;
  }
  data.each_row(*asked, [&](const Row& row) {
    Question question = scienceqa_sample(row);
    const auto problem = problems.find(question.publisher_id);
    if (has_key && problem == problems.end()) bad_row(row, cat("it is not in ", key->string()));
    if (has_key) {
      if (!problem->second.text.empty()) {
        question.text = problem->second.text;
        question.hint = problem->second.hint;
      }
      question.options = problem->second.options;
      question.missing_options = problem->second.missing_options;
      question.references = problem->second.references;
      for (const auto& [kind, values] : problem->second.kinds) question.kinds.try_emplace(kind, values);
    }
    set.questions.push_back(std::move(question));
  });
  note_missing_options(set);
  return set;
}

// What the papers call ScienceQA-IMG: the answered questions with a picture.
double scienceqa_image(std::span<const Scored> items, std::span<const double> weights) {
  std::vector<Scored> chosen;
  std::vector<double> counts;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].question->pictures.empty() || !items[i].answered) continue;
    chosen.push_back(items[i]);
    counts.push_back(weights[i]);
  }
  return mean_score(chosen, counts);
}

std::vector<Metric> scienceqa_more(std::span<const Scored> items) {
  return {{"accuracy, all questions", mean_score(items), "%", static_cast<std::int64_t>(items.size())}};
}

PromptRule scienceqa_prompt(bool context) {
  return [context](const Question& question, const QuestionSet&) {
    if (!question.asked.empty()) return cat(question.asked, kLetterDirectly);
    const std::string hint = question.hint.empty() ? "" : cat(context ? "Context: " : "", question.hint, "\n");
    return cat(question.pictures.empty() ? "" : kImageLine, hint, question.text, lettered_options(question),
               kLetterDirectly);
  };
}

std::vector<Protocol> scienceqa_protocols() {
  const std::string rule =
      "\"Context: \" and the hint, the question, lettered choices, then \"Answer with the option's "
      "letter from the given choices directly.\"";
  Protocol llava = text_protocol({"llava", "letter-1024", rule, "scienceqa", 1024, scienceqa_prompt(true)});
  llava.missing_is_wrong = true;
  llava.notes = {"\"A.\" and \"(A)\" are not read, and a question without an answer is wrong"};
  Protocol lmms = text_protocol({"lmms-eval", "letter-16", rule, "scienceqa-lmms", 16, scienceqa_prompt(true)});
  Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-letter-2048",
                                "hint, question and lettered choices after "
                                "\" <image> \", then the request for a letter",
                                "mmbench", 2048, vlmevalkit_choice_prompt()});
  for (Protocol* only_pictures : {&lmms, &kit}) {
    only_pictures->asks = [](const Question& question) { return !question.pictures.empty(); };
  }
  std::vector<Protocol> all = {llava, kit, lmms, renamed(llava, "paper", llava.notes),
                               rescored(llava, "strict", "letter-strict")};
  for (Protocol& protocol : all) {
    protocol.headline_name = "accuracy, questions with a picture";
    protocol.headline = scienceqa_image;
    protocol.more = scienceqa_more;
  }
  return all;
}

}  // namespace

Benchmark scienceqa_benchmark() {
  return {.name = "scienceqa",
          .title = "ScienceQA (test; IMG: the questions with a picture)",
          .measures = "school science by multiple choice, half of it with a picture",
          .files = {scienceqa_asked_file(), scienceqa_problems_file(), scienceqa_splits_file(), scienceqa_tables()},
          .pictures = "test.zip in data/scienceqa of github.com/lupantech/ScienceQA",
          .kinds = {"modality", "subject", "grade"},
          .protocols = scienceqa_protocols(),
          .read = read_scienceqa};
}

}  // namespace striate

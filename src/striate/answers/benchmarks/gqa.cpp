// GQA, testdev balanced: compositional questions about scenes, with the program behind each.
// Source: Hudson and Manning, CVPR 2019; eval_gqa.py.
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

const NeededFile& gqa_questions_file() {
  static const NeededFile file{{"testdev_balanced_questions*.json", "testdev_balanced_questions*.jsonl"},
                               "questions, answers and question types",
                               "https://downloads.cs.stanford.edu/nlp/data/gqa/questions1.2.zip, or "
                               "eval/gqa/testdev_balanced_questions.tar.gz of github.com/BAAI-DCAI/Bunny"};
  return file;
}

const NeededFile& gqa_asked_file() {
  static const NeededFile file{{"bunny_gqa_*.jsonl", "llava_gqa_*.jsonl"},
                               "which questions LLaVA and Bunny ask, in which order",
                               "eval/gqa of github.com/BAAI-DCAI/Bunny, or LLaVA's eval.zip",
                               true};
  return file;
}

const NeededFile& gqa_tables() {
  static const NeededFile file =
      question_tables("GQA_TestDev_Balanced", "testdev", "testdev_balanced_instructions",
                      "VLMEvalKit (GQA_TestDev_Balanced.tsv), or huggingface.co/datasets/lmms-lab-encoder/GQA "
                      "(testdev_balanced_instructions and testdev_balanced_images)");
  return file;
}

const NeededFile& gqa_pictures_file() {
  static const NeededFile file{{"testdev_balanced_images/testdev-*.parquet"},
                               "the pictures of the Parquet questions",
                               "huggingface.co/datasets/lmms-lab-encoder/GQA",
                               true};
  return file;
}

// How many operations the question takes, without those that only look or ask for a name.
std::size_t gqa_steps(const Row& row) {
  std::size_t steps = 0;
  if (!has(row, "semantic")) return steps;
  for (const auto& operation : row.fields.at("semantic")) {
    const Row part{operation, {}, row.place};
    const std::string shown = cat(text_of(part, "operation"), ": ", text_of(part, "argument", "None"));
    const bool passed = python::contains(shown, "exist") || python::contains(shown, "query: name") ||
                        python::contains(shown, "choose name");
    if (!passed) ++steps;
  }
  return steps;
}

Question gqa_question(const Row& row) {
  Question question;
  question.publisher_id = row.key.empty() ? text_of(row, "id") : row.key;
  question.text = text_of(row, "question");
  question.references = {text_of(row, "answer")};
  question.pictures = {text_of(row, "imageId") + ".jpg"};
  const Row types{has(row, "types") ? row.fields.at("types") : nlohmann::json::object(), {}, row.place};
  const std::string structural = text_of(types, "structural", "unknown");
  question.kinds["structural type"] = {structural};
  question.kinds["semantic type"] = {text_of(types, "semantic", "unknown")};
  question.kinds["answer"] = {structural == "query" ? "open" : "binary"};
  question.kinds["steps"] = {std::to_string(gqa_steps(row))};
  question.kinds["words"] = {std::to_string(python::split(question.text).size())};
  if (has(row, "groups") && row.fields.at("groups").is_object()) {
    const Row groups{row.fields.at("groups"), {}, row.place};
    if (has(groups, "global")) question.kinds["group"] = {text_of(groups, "global")};
  }
  return question;
}

Question gqa_asked(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "question_id");
  question.asked = text_of(row, "text");
  question.text = question.asked.substr(0, question.asked.find(kSingleWord));
  question.pictures = {text_of(row, "image")};
  return question;
}

// A row of VLMEvalKit's table, which has the picture and no types; lmms-eval's is as the official file.
Question gqa_row(const Row& row) {
  if (has(row, "imageId")) return gqa_question(row);
  Question question;
  question.publisher_id = text_of(row, "index");
  question.text = text_of(row, "question");
  question.references = {text_of(row, "answer")};
  question.pictures = pictures_of(row);
  question.kinds["words"] = {std::to_string(python::split(question.text).size())};
  return question;
}

void read_gqa_pictures(QuestionSet& set, const DataFolder& data) {
  std::map<std::string, std::string> cells;
  QuestionSet pictures;
  read_rows(pictures, data, data.find_tables(gqa_pictures_file()), [&](const Row& row) {
    for (const std::string& cell : pictures_of(row)) cells[text_of(row, "id") + ".jpg"] = cell;
  });
  if (!cells.empty()) set.pictures = std::make_shared<NamedPictures>(std::move(cells), pictures.pictures);
}

QuestionSet read_gqa(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(gqa_tables(), {gqa_questions_file(), gqa_asked_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) { set.questions.push_back(gqa_row(row)); });
    if (tables.front() != data.path()) read_gqa_pictures(set, data);
    return set;
  }
  if (const auto path = data.find(gqa_questions_file())) {
    data.each_row(*path, [&](const Row& row) {
      const bool balanced = !has(row, "isBalanced") || row.fields.at("isBalanced") == true;
      if (balanced) set.questions.push_back(gqa_question(row));
    });
    return set;
  }
  const auto asked = data.find(gqa_asked_file());
  if (!asked) throw data.missing(gqa_questions_file());
  set.no_references = data.missing(gqa_questions_file());
  data.each_row(*asked, [&](const Row& row) { set.questions.push_back(gqa_asked(row)); });
  return set;
}

// How far the distribution of answers is from that of the right ones: chi-square per group of questions, / 100.
double gqa_distribution(std::span<const Scored> items) {
  std::map<std::string, std::map<std::string, double>> gold, given;
  for (const Scored& item : items) {
    const auto group = item.question->kinds.find("group");
    if (group == item.question->kinds.end()) continue;
    ++gold[group->second[0]][item.question->references[0]];
    ++given[group->second[0]][item.judgement.parsed];
  }
  double sum = 0, all = 0;
  for (const auto& [group, answers] : gold) {
    double score = 0, overall = 0;
    for (const auto& [answer, expected] : answers) {
      const auto observed = given[group].find(answer);
      const double difference = (observed == given[group].end() ? 0 : observed->second) - expected;
      score += difference * difference / expected;
      overall += expected;
    }
    sum += score * overall;
    all += overall;
  }
  return sum / all / 100;
}

std::vector<Metric> gqa_more(std::span<const Scored> items) {
  std::vector<Metric> metrics;
  for (const auto& [name, part] : parts_by_kind(items, ones(items.size()), "answer")) {
    metrics.push_back({name, mean_score(part.items), "%", static_cast<std::int64_t>(part.items.size())});
  }
  metrics.push_back(
      {"distribution (lower is better)", gqa_distribution(items), "", static_cast<std::int64_t>(items.size())});
  return metrics;
}

std::vector<Protocol> gqa_protocols() {
  const Protocol llava = text_protocol({"llava", "single-word-128",
                                        "the question, then \"Answer the question using a "
                                        "single word or phrase.\" on a line of its own",
                                        "gqa", 128, plain_prompt(kImageLine, kSingleWord)});
  Protocol lmms = text_protocol(
      {"lmms-eval", "single-word-16", "as llava", "exact-unpunctuated", 16, plain_prompt(kImageLine, kSingleWord)});
  const Protocol kit =
      text_protocol({"vlmevalkit", "vlmevalkit-single-word-2048", "as llava, after \" <image> \" instead of a line",
                     "exact-caseless", 2048, vlmevalkit_prompt(kSingleWord)});
  std::vector<Protocol> all = {llava, kit, lmms, renamed(llava, "paper", {"the paper's scripts are Bunny's"}),
                               rescored(llava, "strict", "gqa-strict")};
  for (Protocol& protocol : all) protocol.more = gqa_more;
  return all;
}

}  // namespace

Benchmark gqa_benchmark() {
  return {.name = "gqa",
          .title = "GQA (testdev balanced)",
          .measures = "compositional questions about real scenes, answered in a word",
          .files = {gqa_questions_file(), gqa_asked_file(), gqa_tables(), gqa_pictures_file()},
          .pictures = "https://downloads.cs.stanford.edu/nlp/data/gqa/images.zip",
          .kinds = {"structural type", "semantic type", "steps", "words"},
          .protocols = gqa_protocols(),
          .read = read_gqa};
}

}  // namespace striate

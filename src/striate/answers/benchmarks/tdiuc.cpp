// TDIUC: twelve types of questions, scored so that rare types count. Source: Kafle and Kanan, ICCV 2017.
#include <unordered_map>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& tdiuc_questions_file() {
  static const NeededFile file{
      {"tenth_filtered_val2014_questions.json", "*val2014_questions.json", "Questions/*val2014_questions.json"},
      "questions",
      "https://kushalkafle.com/projects/tdiuc.html"};
  return file;
}

const NeededFile& tdiuc_annotations_file() {
  static const NeededFile file{
      {"tenth_filtered_val2014_annotations.json", "*val2014_annotations.json", "Annotations/*val2014_annotations.json"},
      "answers and question types",
      "https://kushalkafle.com/projects/tdiuc.html"};
  return file;
}

std::string tdiuc_picture(const std::string& image) {
  const std::string zeros(image.size() < 12 ? 12 - image.size() : 0, '0');
  return cat("COCO_val2014_", zeros, image, ".jpg");
}

QuestionSet read_tdiuc(const DataFolder& data) {
  QuestionSet set;
  std::unordered_map<std::string, std::size_t> places;
  data.each_row(data.require(tdiuc_questions_file()), "questions", [&](const Row& row) {
    Question question;
    question.publisher_id = text_of(row, "question_id");
    question.text = text_of(row, "question");
    question.pictures = {tdiuc_picture(text_of(row, "image_id"))};
    places[question.publisher_id] = set.questions.size();
    set.questions.push_back(std::move(question));
  });
  data.each_row(data.require(tdiuc_annotations_file()), "annotations", [&](const Row& row) {
    const auto place = places.find(text_of(row, "question_id"));
    if (place == places.end()) bad_row(row, "its question is not in the file of questions");
    Question& question = set.questions[place->second];
    const nlohmann::json& answers = field_of(row, "answers");
    if (!answers.is_array() || answers.empty()) bad_row(row, "there are no answers");
    const std::string answer = text_of(Row{answers[0], {}, row.place}, "answer");  // the first counts
    question.kinds["type"] = {text_of(row, "question_type")};
    question.references = {answer};
  });
  leave_out(
      set, data, [](const Question& question) { return question.references.empty(); }, "has no annotation");
  return set;
}

std::vector<double> tdiuc_by_type(std::span<const Scored> items, std::span<const double> weights) {
  std::vector<double> scores;
  for (const auto& [type, part] : parts_by_kind(items, weights, "type")) {
    scores.push_back(mean_score(part.items, part.weights));
  }
  return scores;
}

double tdiuc_arithmetic(std::span<const Scored> items, std::span<const double> weights) {
  const std::vector<double> scores = tdiuc_by_type(items, weights);
  double sum = 0;
  for (const double score : scores) sum += score;
  return sum / static_cast<double>(scores.size());
}

double tdiuc_harmonic(std::span<const Scored> items, std::span<const double> weights) {
  const std::vector<double> scores = tdiuc_by_type(items, weights);
  double sum = 0;
  for (const double score : scores) sum += 1 / score;  // one type at 0 makes the mean 0
  return static_cast<double>(scores.size()) / sum;
}

std::vector<Metric> tdiuc_more(std::span<const Scored> items) {
  const std::vector<double> weights = ones(items.size());
  const auto count = static_cast<std::int64_t>(items.size());
  return {{"accuracy", mean_score(items), "%", count},
          {"arithmetic mean per type", tdiuc_arithmetic(items, weights), "%", count},
          {"harmonic mean per type", tdiuc_harmonic(items, weights), "%", count}};
}

std::vector<Protocol> tdiuc_protocols() {
  Protocol paper = text_protocol({"paper", "one-word-512-sampled",
                                  "the question, then \" Answer the question in one "
                                  "word.\"",
                                  "tdiuc", 512, plain_prompt(kImageLine, " Answer the question in one word.")});
  paper.decoding.temperature = 0.2;
  paper.asks = [](const Question& question) {
    const auto type = question.kinds.find("type");
    return type == question.kinds.end() || type->second[0] != "absurd";
  };
  paper.notes = {"answers are sampled at temperature 0.2", "questions of the type absurd are left out",
                 "the authors score 1,000 questions drawn with seed 234; here all of them count"};
  Protocol strict = text_protocol({"strict", "one-word-16", "as paper, decoded greedily", "tdiuc-strict", 16,
                                   plain_prompt(kImageLine, " Answer the question in one word.")});
  strict.headline_name = "arithmetic mean per type";
  strict.headline = tdiuc_arithmetic;
  std::vector<Protocol> all = {paper, strict};
  for (Protocol& protocol : all) protocol.more = tdiuc_more;
  return all;
}

}  // namespace

Benchmark tdiuc_benchmark() {
  return {.name = "tdiuc",
          .title = "TDIUC (val)",
          .measures = "twelve types of visual questions, from scene to counting to absurd ones",
          .files = {tdiuc_questions_file(), tdiuc_annotations_file()},
          .pictures = "http://images.cocodataset.org/zips/val2014.zip",
          .kinds = {"type"},
          .protocols = tdiuc_protocols(),
          .read = read_tdiuc};
}

}  // namespace striate

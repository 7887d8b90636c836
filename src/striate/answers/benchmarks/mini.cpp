// The miniature world (docs/mini.md): questions about pictures, about scenes told in words, and about neither. One
// score for each kind of question, and their mean.
#include <algorithm>
#include <array>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

constexpr const char* kMiniSource = "made by `striate mini render`, with a test part and texts (docs/mini.md)";

const NeededFile& mini_pictures_file() {
  static const NeededFile file{{"test.json", "held_out.json"}, "questions about pictures, one a sample", kMiniSource};
  return file;
}

const NeededFile& mini_texts_file() {
  static const NeededFile file{
      {"text_test.json", "text_held_out.json"}, "questions without a picture, one a sample", kMiniSource};
  return file;
}

// The third part of "text_test-000012-color-0"; questions of one scene are drawn together when resampling.
Question mini_question(const Row& row) {
  Question question;
  question.publisher_id = text_of(row, "id");
  const std::vector<std::string> parts = split(question.publisher_id, '-');
  if (parts.size() != 4 || parts[2].empty()) {
    bad_row(row, cat("the id '", question.publisher_id, "' does not name the kind of the question"));
  }
  question.kinds["kind"] = {parts[2]};
  question.group = cat(parts[0], '-', parts[1]);
  const nlohmann::json& turns = field_of(row, "conversations");
  if (!turns.is_array() || turns.size() != 2) bad_row(row, "\"conversations\" is not one question and its answer");
  question.asked = text_of(Row{turns[0], {}, row.place}, "value");
  question.text = std::string(trim(python::replace(question.asked, "<image>", "")));
  question.references = {text_of(Row{turns[1], {}, row.place}, "value")};
  if (has(row, "image")) question.pictures = {text_of(row, "image")};
  return question;
}

bool is_text_task(const Question& question) {
  constexpr std::array<std::string_view, 4> kTasks = {"facts", "sum", "string", "logic"};
  return std::ranges::find(kTasks, question.kinds.at("kind")[0]) != kTasks.end();
}

QuestionSet read_mini(const DataFolder& data, const NeededFile& file,
                      const std::function<bool(const Question&)>& wanted) {
  QuestionSet set;
  data.each_row(data.require(file), [&](const Row& row) {
    Question question = mini_question(row);
    if (wanted(question)) set.questions.push_back(std::move(question));
  });
  return set;
}

double mini_mean_of_kinds(std::span<const Scored> items, std::span<const double> weights) {
  double sum = 0;
  const auto parts = parts_by_kind(items, weights, "kind");
  for (const auto& [kind, part] : parts) sum += mean_score(part.items, part.weights);
  return sum / static_cast<double>(parts.size());
}

// The kinds' own scores are broken down by every report.
std::vector<Metric> mini_more(std::span<const Scored> items) {
  return {{"all questions", mean_score(items), "%", static_cast<std::int64_t>(items.size())}};
}

std::vector<Protocol> mini_protocols() {
  Protocol strict = text_protocol({"strict", "as-written-24", "the question as the data set has it", "exact-caseless",
                                   24, [](const Question& question, const QuestionSet&) { return question.asked; }});
  strict.headline_name = "mean of the kinds";
  strict.headline = mini_mean_of_kinds;
  strict.more = mini_more;
  return {strict};
}

Benchmark mini_set(std::string name, std::string title, std::string measures) {
  return {.name = std::move(name),
          .title = std::move(title),
          .measures = std::move(measures),
          .kinds = {"kind"},
          .protocols = mini_protocols()};
}

}  // namespace

Benchmark mini_benchmark() {
  Benchmark set = mini_set("mini", "Miniature world: pictures",
                           "thirteen kinds of questions about small made pictures, from colors to sums of read digits");
  set.files = {mini_pictures_file()};
  set.pictures = "the folder of the questions";
  set.read = [](const DataFolder& data) {
    return read_mini(data, mini_pictures_file(), [](const Question&) { return true; });
  };
  return set;
}

Benchmark mini_text_benchmark() {
  Benchmark set = mini_set("mini-text", "Miniature world: text",
                           "what a language model knows and can do without a scene: facts, sums, strings, logic");
  set.files = {mini_texts_file()};
  set.read = [](const DataFolder& data) { return read_mini(data, mini_texts_file(), is_text_task); };
  return set;
}

Benchmark mini_words_benchmark() {
  Benchmark set = mini_set("mini-words", "Miniature world: scenes in words",
                           "the questions of mini about scenes that are told in words, without a picture");
  set.files = {mini_texts_file()};
  set.read = [](const DataFolder& data) {
    return read_mini(data, mini_texts_file(), [](const Question& question) { return !is_text_task(question); });
  };
  return set;
}

}  // namespace striate

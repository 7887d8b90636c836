// How well a model predicts a text: perplexity per token, word and byte, as lm-evaluation-harness computes them.
#include <cmath>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/python_text.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& perplexity_file() {
  static const NeededFile file{{"*.txt", "*.jsonl"},
                               "text: each .txt file is a document, or each line's \"text\" of a .jsonl file",
                               "any text will do"};
  return file;
}

void add_document(QuestionSet& set, std::string id, std::string text) {
  Question question;
  question.publisher_id = std::move(id);
  question.text = std::move(text);
  question.references = {""};
  set.questions.push_back(std::move(question));
}

QuestionSet read_perplexity(const DataFolder& data) {
  QuestionSet set;
  for (const auto& path : data.require_all(perplexity_file())) {
    const std::string name = path.filename().string();
    if (path.extension() != ".jsonl") {
      add_document(set, name, read_file(path));
      if (!is_valid_utf8(set.questions.back().text)) {
        throw corrupt_data(path.string() + ": not UTF-8", "convert the text with iconv");
      }
      continue;
    }
    data.each_row(path, [&](const Row& row) { add_document(set, cat(name, "/", row.number), text_of(row, "text")); });
  }
  return set;
}

// Natural log-probability per unit, turned into a perplexity; `count` gives the units of a document.
template <typename Count>
double perplexity_per(std::span<const Scored> items, std::span<const double> weights, Count count) {
  double log_probability = 0, units = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    log_probability += weights[i] * items[i].judgement.detail;
    units += weights[i] * count(*items[i].question);
  }
  return std::exp(-log_probability / units);
}

// Parts between white space, as lm-evaluation-harness counts them with re.split(r"\s+"): where a text begins or ends
// with white space, there is an empty part.
double words_in(const Question& question) {
  const std::string_view text = question.text, inner = python::strip(text);
  if (inner.empty()) return text.empty() ? 1 : 2;
  const bool begins = inner.data() != text.data(), ends = inner.data() + inner.size() != text.data() + text.size();
  return static_cast<double>(python::split(text).size()) + (begins ? 1 : 0) + (ends ? 1 : 0);
}

double bytes_in(const Question& question) {
  return static_cast<double>(question.text.size());
}

double byte_perplexity(std::span<const Scored> items, std::span<const double> weights) {
  return perplexity_per(items, weights, bytes_in);
}

}  // namespace

Benchmark perplexity_benchmark() {
  Protocol rolling;
  rolling.name = "lm-eval";
  rolling.asking = "rolling";
  rolling.kind = AnswerKind::kRolling;
  rolling.bare = true;
  rolling.prompt_rule = "none: the log-probability of the whole text, in windows of the model's length";
  rolling.scoring = "exp(-log-probability / bytes); words and bits as well";
  rolling.headline_name = "perplexity per byte (lower is better)";
  rolling.headline_unit = "";
  rolling.lower_is_better = true;
  rolling.headline = byte_perplexity;
  rolling.prompt = [](const Question& question, const QuestionSet&) { return question.text; };
  rolling.judge = [](const Question&, const std::string&) { return Judgement{}; };
  rolling.more = [](std::span<const Scored> items) {
    const std::vector<double> weights = ones(items.size());
    const auto count = static_cast<std::int64_t>(items.size());
    return std::vector<Metric>{{"perplexity per word", perplexity_per(items, weights, words_in), "", count},
                               {"bits per byte", std::log2(byte_perplexity(items, weights)), "", count}};
  };
  return {.name = "perplexity",
          .title = "Perplexity of any text",
          .measures = "how well a model predicts a text: what it forgot, without a task",
          .files = {perplexity_file()},
          .protocols = {rolling},
          .read = read_perplexity};
}

}  // namespace striate

// A benchmark as data and functions: what it measures, which files it needs, how its questions are asked and its
// answers scored by each protocol. Each has one file in benchmarks/, and a line in benchmarks.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "striate/answers/data_folder.h"
#include "striate/answers/question.h"

namespace striate {

// How an answer is made.
enum class AnswerKind {
  kText,     // generated
  kLetter,   // the choice " A", " B", ... of the highest log-probability after the prompt
  kRolling,  // none: the log-probability of the text itself
};

// How text is generated. Every published script that can be reproduced decodes greedily (temperature 0).
struct Decoding {
  std::int64_t max_tokens = 128;
  double temperature = 0;
  std::vector<std::string> stop{};  // strings at which the answer ends, themselves left out
};

// A number of a report; NaN where it is not defined (no positive answers: no precision).
struct Metric {
  std::string name;
  double value = 0;
  std::string unit = "%";  // "%", "points" or ""
  std::int64_t questions = 0;
};

// The number that stands for a benchmark, of `items` of which each counts `weights` times (all 1 for the score itself;
// how often it was drawn when resampling; items of one Question::group have equal weights).
using Headline = std::function<double(std::span<const Scored> items, std::span<const double> weights)>;

struct Protocol {
  std::string name;    // "llava", "vlmevalkit", "lmms-eval", "lm-eval", "paper", "strict", or a rule's (llava-json)
  int version = 1;     // counts up from a release to the next when prompt, decoding or scoring change
  std::string asking;  // names prompt and decoding: protocols with the same share answers
  std::string prompt_rule;  // in words
  std::string scoring;      // in words, or the rule's name
  AnswerKind kind = AnswerKind::kText;
  Decoding decoding{};
  std::string headline_name = "accuracy";
  std::string headline_unit = "%";
  bool lower_is_better = false;  // of the headline: perplexity
  // The user's turn, "<image>" where a picture goes; the chat template of the model stands around it, unless `bare`.
  std::function<std::string(const Question&, const QuestionSet&)> prompt{};
  // Those of a question's pictures that are shown, in the order of the prompt's marks; default: all.
  std::function<std::vector<std::string>(const Question&)> pictures{};
  bool bare = false;  // the prompt is all that the model reads, as lm-evaluation-harness asks unless told otherwise
  std::string after_assistant{};  // what this protocol writes after the template's mark of the answer
  std::function<Judgement(const Question&, const std::string&)> judge{};
  Headline headline{};                                                 // default: mean of the scores x 100
  std::function<std::vector<Metric>(std::span<const Scored>)> more{};  // further numbers, or none
  std::function<bool(const Question&)> asks{};                         // which questions; default: all
  bool missing_is_wrong = false;     // a question without an answer counts as wrong; else it is left out
  std::vector<std::string> notes{};  // oddities that a reader of the score should know
};

struct Benchmark {
  std::string name;      // "gqa"
  std::string title;     // "GQA (testdev balanced)"
  std::string measures;  // in one sentence
  std::vector<NeededFile> files{};
  std::string pictures{};            // where its pictures come from; empty: it has none
  std::vector<std::string> kinds{};  // the names in Question::kinds, in the order of reports
  std::vector<Protocol> protocols{};
  std::function<QuestionSet(const DataFolder&)> read{};  // throws what the readers throw
  bool scores_groups = false;  // the questions of one Question::group count together (MME, circular MMBench)
};

// All of them, by name in ascending order.
const std::vector<Benchmark>& benchmarks();

// Throw InvalidInput with the nearest name where there is none.
const Benchmark& find_benchmark(std::string_view name);
const Protocol& find_protocol(const Benchmark& benchmark, std::string_view name);

// The places in `set` of the questions that a protocol asks, in ascending order; with a `limit` (0: all) the first so
// many. Of a benchmark that scores groups whole ones are taken, in the order of their first questions, until there are
// at least so many.
std::vector<std::size_t> questions_to_ask(const Benchmark& benchmark, const Protocol& protocol, const QuestionSet& set,
                                          std::int64_t limit);

// The pictures that a protocol shows with a question.
std::vector<std::string> shown_pictures(const Protocol& protocol, const Question& question);

// The questions of a folder with unique ids: the first of several that share a publisher's id becomes "ID#1", the next
// "ID#2". Malformed rows are left out under kSkip: QuestionSet::bad_rows has them, and a note their number. Throws
// CorruptData where there is no question.
QuestionSet read_questions(const Benchmark& benchmark, const std::filesystem::path& data,
                           OnBadRow on_bad_row = OnBadRow::kStop);

}  // namespace striate

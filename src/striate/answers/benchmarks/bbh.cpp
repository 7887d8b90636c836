// BIG-Bench Hard: 27 tasks, each with three worked examples. Source: Suzgun et al., Findings of ACL 2023.
#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& bbh_tasks_file() {
  static const NeededFile file{{"*.json", "bbh/*.json"},
                               "questions and answers, a file for each task",
                               "bbh of github.com/suzgunmirac/BIG-Bench-Hard"};
  return file;
}

const NeededFile& bbh_prompts_file() {
  static const NeededFile file{{"cot_*.txt", "cot-prompts/*.txt"},
                               "three worked examples for each task",
                               "cot-prompts of github.com/suzgunmirac/BIG-Bench-Hard",
                               true};
  return file;
}

QuestionSet read_bbh(const DataFolder& data) {
  QuestionSet set;
  for (const auto& path : data.require_all(bbh_tasks_file())) {
    const std::string task = path.stem().string();
    data.each_row(path, "examples", [&](const Row& row) {
      Question question;
      question.publisher_id = cat(task, "/", row.number);
      question.text = text_of(row, "input");
      question.references = {text_of(row, "target")};
      question.kinds["task"] = {task};
      set.questions.push_back(std::move(question));
    });
  }
  constexpr std::uint64_t kMostBytes = 1 << 20;
  for (const auto& path : data.find_all(bbh_prompts_file())) {
    if (path.extension() != ".txt") continue;
    std::string task = path.stem().string();
    if (task.starts_with("cot_")) task = task.substr(4);
    const std::string text = read_file(path, kMostBytes);
    constexpr std::string_view kAfterCanary = "-----\n";
    const std::size_t begin = text.find(kAfterCanary);
    set.preambles[task] = python::strip(text.substr(begin == std::string::npos ? 0 : begin + kAfterCanary.size()));
  }
  return set;
}

std::string bbh_prompt(const Question& question, const QuestionSet& set) {
  const auto shown = set.preambles.find(question.kinds.at("task")[0]);
  const std::string before = shown == set.preambles.end() ? "" : shown->second + "\n\n";
  return cat(before, "Q: ", question.text, "\nA: Let's think step by step.\n");
}

// Every task counts the same, as the paper of BIG-Bench Hard averages.
double bbh_task_mean(std::span<const Scored> items, std::span<const double> weights) {
  const auto parts = parts_by_kind(items, weights, "task");
  double sum = 0;
  for (const auto& [task, part] : parts) sum += mean_score(part.items, part.weights);
  return sum / static_cast<double>(parts.size());
}

std::vector<Metric> bbh_more(std::span<const Scored> items) {
  return {
      {"mean of the tasks", bbh_task_mean(items, ones(items.size())), "%", static_cast<std::int64_t>(items.size())}};
}

std::vector<Protocol> bbh_protocols() {
  Protocol harness = text_protocol({"lm-eval", "cot-three-shot-1024",
                                    "the task, three worked examples, then \"Q: ...\" "
                                    "and \"A: Let's think step by step.\"",
                                    "bbh-lm-eval", 1024, bbh_prompt});
  harness.bare = true;
  harness.decoding.stop = {"</s>", "Q", "\n\n"};
  harness.notes = {"an answer ends at any capital Q, also inside a word"};
  harness.more = bbh_more;
  Protocol strict = text_protocol({"strict", "cot-three-shot-1024-next-question",
                                   "as lm-eval; an answer ends where the "
                                   "next question would begin",
                                   "bbh", 1024, bbh_prompt});
  strict.bare = true;
  strict.decoding.stop = {"\n\nQ:"};
  strict.headline_name = "mean of the tasks";
  strict.headline = bbh_task_mean;
  return {harness, strict};
}

}  // namespace

Benchmark bbh_benchmark() {
  return {.name = "bbh",
          .title = "BIG-Bench Hard (three examples, chain of thought)",
          .measures = "27 reasoning tasks that need several steps",
          .files = {bbh_tasks_file(), bbh_prompts_file()},
          .kinds = {"task"},
          .protocols = bbh_protocols(),
          .read = read_bbh};
}

}  // namespace striate

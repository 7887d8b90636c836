// MMBench, dev: multiple choice with rotated options. Source: Liu et al., ECCV 2024.
#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::int64_t kRotation = 1'000'000;  // added to a question's index for each rotation of its options

const NeededFile& mmbench_file() {
  static const NeededFile file{{"mmbench*.jsonl", "MMBench_DEV_EN*.tsv", "mmbench_dev*.tsv", "MMBench_DEV*.csv",
                                "mmbench*.csv", "dev-*.parquet", "en/dev-*.parquet", "data/dev-*.parquet"},
                               "questions, options, answers and pictures",
                               "https://github.com/open-compass/MMBench (MMBench_DEV_EN.tsv), or "
                               "huggingface.co/datasets/lmms-lab-encoder/MMBench (Parquet)"};
  return file;
}

Question mmbench_question(const Row& row) {
  Question question;
  const std::int64_t index = whole_of(row, "index");
  question.publisher_id = std::to_string(index);
  question.group = std::to_string(index % kRotation);
  question.text = text_of(row, "question");
  question.hint = cell_or_empty(row, "hint");
  take_options(question, row);
  if (question.options.empty()) bad_row(row, "there are no options");
  question.pictures = pictures_of(row);
  if (question.pictures.empty()) question.pictures = {text_of(row, "image_path", cat(question.group, ".jpg"))};
  if (has(row, "answer")) question.references = {text_of(row, "answer")};
  question.kinds["category"] = {text_of(row, "category", "unknown")};
  question.kinds["ability"] = {text_of_first(row, {"l2-category", "L2-category"}, "unknown")};
  return question;
}

QuestionSet read_mmbench(const DataFolder& data) {
  QuestionSet set;
  const std::vector<std::filesystem::path> tables = data.find_tables(mmbench_file());
  const std::vector<std::filesystem::path> files = tables.empty() ? std::vector{data.require(mmbench_file())} : tables;
  read_rows(set, data, files, [&](const Row& row) {
    set.questions.push_back(mmbench_question(row));
    if (set.questions.back().references.empty()) {
      set.no_references = invalid_input(
          cat(row.place, ": there is no answer: MMBench's test split is scored by a server"), "take the dev split");
    }
  });
  note_missing_options(set);
  return set;
}

// The answers to questions as they were published, without the rotated ones.
double mmbench_plain(std::span<const Scored> items, std::span<const double> weights) {
  std::vector<Scored> chosen;
  std::vector<double> counts;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].question->publisher_id != items[i].question->group) continue;
    chosen.push_back(items[i]);
    counts.push_back(weights[i]);
  }
  return mean_score(chosen, counts);
}

std::vector<Metric> mmbench_more(std::span<const Scored> items) {
  const std::vector<double> weights = ones(items.size());
  const auto count = static_cast<std::int64_t>(items.size());
  return {{"plain", mmbench_plain(items, weights), "%", count},
          {"circular", all_right_share(items, weights), "%", count}};
}

std::string mmbench_lmms_prompt(const Question& question, const QuestionSet&) {
  const std::string hint = question.hint.empty() ? "" : question.hint + " ";
  return cat(kImageLine, hint, question.text, " There are several options:", lettered_options(question), "\n",
             kLetterDirectly);
}

std::vector<Protocol> mmbench_protocols() {
  const std::string rule =
      "hint, question and lettered choices on lines of their own, then \"Answer with the option's "
      "letter from the given choices directly.\"";
  Protocol llava = text_protocol({"llava", "letter-1024", rule, "mmbench", 1024, llava_choice_prompt()});
  llava.notes = {"LLaVA writes a table for the official server; here the rule of VLMEvalKit reads the answers"};
  Protocol paper = text_protocol({"paper", "letter-128", rule, "mmbench", 128, llava_choice_prompt()});
  paper.notes = llava.notes;
  const Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-letter-2048", cat(rule, ", after \" <image> \""),
                                      "mmbench", 2048, vlmevalkit_choice_prompt()});
  const Protocol lmms = text_protocol({"lmms-eval", "several-options-1024",
                                       "hint, question, \"There are several "
                                       "options:\", lettered choices, an empty line, the request for a letter",
                                       "mmbench-lmms", 1024, mmbench_lmms_prompt});
  std::vector<Protocol> all = {llava, kit, lmms, paper, rescored(llava, "strict", "letter-strict")};
  for (Protocol& protocol : all) {
    const bool circular = protocol.name == "vlmevalkit" || protocol.name == "lmms-eval";
    protocol.headline_name = circular ? "circular accuracy" : "accuracy";
    protocol.headline = circular ? Headline(all_right_share) : Headline(mmbench_plain);
    protocol.more = mmbench_more;
  }
  return all;
}

}  // namespace

Benchmark mmbench_benchmark() {
  return {.name = "mmbench",
          .title = "MMBench (dev), plain and circular",
          .measures = "twenty abilities by multiple choice; circular: right for every rotation of the options",
          .files = {mmbench_file()},
          .pictures = "in the published tables; beside CSV or JSON Lines, files called INDEX.jpg",
          .kinds = {"ability", "category"},
          .protocols = mmbench_protocols(),
          .read = read_mmbench,
          .scores_groups = true};
}

}  // namespace striate

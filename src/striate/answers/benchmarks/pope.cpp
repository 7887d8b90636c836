// POPE: is an object in the picture? Three ways to choose the absent ones: random, popular, adversarial.
// Source: Li et al., EMNLP 2023; eval_pope.py.
#include <map>
#include <numeric>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/answers/question_table.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

const NeededFile& pope_labels_file() {
  static const NeededFile file{{"coco_pope_*.json", "coco/coco_pope_*.json"},
                               "questions and labels of the three splits",
                               "output/coco of github.com/AoiDragon/POPE"};
  return file;
}

const NeededFile& pope_asked_file() {
  static const NeededFile file{{"bunny_pope_*.jsonl", "llava_pope_*.jsonl"},
                               "the numbers that LLaVA and Bunny give the questions",
                               "eval/pope of github.com/BAAI-DCAI/Bunny, or LLaVA's eval.zip",
                               true};
  return file;
}

const NeededFile& pope_tables() {
  static const NeededFile file =
      question_tables("POPE", "test", "", "VLMEvalKit (POPE.tsv), or huggingface.co/datasets/lmms-lab-encoder/POPE");
  return file;
}

// "coco_pope_random.json" -> "random".
std::string pope_split(const std::filesystem::path& path) {
  const std::string stem = path.stem().string();
  return stem.starts_with("coco_pope_") ? stem.substr(10) : stem;
}

Question pope_question(const Row& row, const std::string& split) {
  Question question;
  question.text = text_of(row, "text");
  question.text = question.text.substr(0, question.text.find(kSingleWord));
  question.pictures = {text_of(row, "image")};
  question.kinds["split"] = {split};
  return question;
}

// Labels by split, picture and question. The script pairs answers and labels by their place in the files instead, which
// is right only where both files have the same order; POPE's own files of today have not.
std::string pope_key(const Question& question) {
  return cat(question.kinds.at("split")[0], "\n", question.pictures[0], "\n", question.text);
}

std::vector<Question> pope_labelled(const DataFolder& data) {
  std::vector<Question> questions;
  for (const auto& path : data.find_all(pope_labels_file())) {
    const std::string split = pope_split(path);
    data.each_row(path, [&](const Row& row) {
      Question question = pope_question(row, split);
      const std::string label = text_of(row, "label");
      if (label != "yes" && label != "no") bad_row(row, cat("the label '", label, "' is neither yes nor no"));
      question.references = {label};
      question.publisher_id = cat(split, "/", text_of(row, "question_id"));
      questions.push_back(std::move(question));
    });
  }
  return questions;
}

// A row of VLMEvalKit's table (index; several splits may share a question) or lmms-eval's (question_id of a split).
Question pope_row(const Row& row) {
  Question question;
  question.text = text_of(row, "question");
  question.pictures = pictures_of(row);
  question.picture_id = text_of(row, "image_source", "");
  question.references = {python::lower(text_of(row, "answer"))};
  if (question.references[0] != "yes" && question.references[0] != "no") {
    bad_row(row, cat("the answer '", question.references[0], "' is neither yes nor no"));
  }
  for (const std::string& split : split(text_of(row, "category"), ',')) {
    question.kinds["split"].emplace_back(python::strip(split));
  }
  const std::string id = text_of_first(row, {"question_id", "index"});
  question.publisher_id = has(row, "question_id") ? cat(question.kinds["split"][0], "/", id) : id;
  return question;
}

QuestionSet read_pope(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(pope_tables(), {pope_labels_file(), pope_asked_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) { set.questions.push_back(pope_row(row)); });
    return set;
  }
  std::vector<Question> labelled = pope_labelled(data);
  const auto asked = data.find(pope_asked_file());
  if (labelled.empty() && !asked) throw data.missing(pope_labels_file());
  if (labelled.empty()) set.no_references = data.missing(pope_labels_file());
  if (!asked || asked == data.path()) {
    set.questions = std::move(labelled);
    return set;
  }
  std::map<std::string, std::vector<std::string>> labels;
  for (const Question& question : labelled) labels[pope_key(question)] = question.references;
  data.each_row(*asked, [&](const Row& row) {
    Question question = pope_question(row, text_of(row, "category"));
    question.publisher_id = text_of(row, "question_id");
    const auto label = labels.find(pope_key(question));
    if (label != labels.end()) question.references = label->second;
    if (label == labels.end() && !labels.empty()) {
      bad_row(row, "the files coco_pope_*.json have no such question",
              "take the question file and the labels of the same release");
    }
    set.questions.push_back(std::move(question));
  });
  return set;
}

// Bunny reports the mean of the splits' F1.
double pope_mean_f1(std::span<const Scored> items, std::span<const double> weights) {
  const auto parts = parts_by_kind(items, weights, "split");
  const double sum = std::accumulate(parts.begin(), parts.end(), 0.0, [](double total, const auto& part) {
    return total + yes_no_counts(part.second.items, part.second.weights).f1();
  });
  return 100 * sum / static_cast<double>(parts.size());
}

// A row that several splits share is a question of each, as in POPE's own files: VLMEvalKit takes such a row apart
// before it counts anything.
std::vector<double> pope_weights(std::span<const Scored> items, std::span<const double> weights) {
  std::vector<double> counted(weights.begin(), weights.end());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const auto splits = items[i].question->kinds.find("split");
    if (splits != items[i].question->kinds.end()) counted[i] *= static_cast<double>(splits->second.size());
  }
  return counted;
}

Headline pope_f1(const YesNoScript& script) {
  return [script](std::span<const Scored> items, std::span<const double> weights) {
    return 100 * yes_no_counts(items, pope_weights(items, weights), script).f1();
  };
}

// How a protocol's script counts, and which numbers it reports.
struct PopeScript : YesNoScript {
  bool has_yes_ratio = false;
};

// What lmms-eval calls the yes ratio: of the right answers, those that are yes. No answer of a model changes it.
double pope_yes_ratio(std::span<const Scored> items, std::span<const double> weights) {
  const YesNoCounts counts = yes_no_counts(items, weights);
  return counts.share(counts.true_yes + counts.false_no, counts.all());
}

void add_pope_numbers(std::vector<Metric>& metrics, const std::string& where, std::span<const Scored> items,
                      std::span<const double> weights, const PopeScript& script) {
  const YesNoCounts counts = yes_no_counts(items, weights, script);
  const auto count = static_cast<std::int64_t>(items.size());
  metrics.push_back({where + "accuracy", mean_score(items, weights), "%", count});
  metrics.push_back({where + "precision", 100 * counts.precision(), "%", count});
  metrics.push_back({where + "recall", 100 * counts.recall(), "%", count});
  metrics.push_back({where + "F1", 100 * counts.f1(), "%", count});
  metrics.push_back({where + "yes share", 100 * counts.yes_share(), "%", count});
  if (script.has_yes_ratio) metrics.push_back({where + "yes ratio", 100 * pope_yes_ratio(items, weights), "%", count});
}

std::vector<Metric> pope_numbers(std::span<const Scored> items, const PopeScript& script) {
  std::vector<Metric> metrics;
  const std::vector<double> weights = ones(items.size());
  for (const auto& [split, part] : parts_by_kind(items, weights, "split")) {
    add_pope_numbers(metrics, split + " ", part.items, part.weights, script);
  }
  add_pope_numbers(metrics, "", items, pope_weights(items, weights), script);
  return metrics;
}

std::vector<Protocol> pope_protocols() {
  const Protocol llava = text_protocol({"llava", "single-word-128",
                                        "the question, then \"Answer the question using a "
                                        "single word or phrase.\" on a line of its own",
                                        "pope", 128, plain_prompt(kImageLine, kSingleWord)});
  Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-plain-2048", "the question as stored, after \" <image> \"",
                                "yes-no-words", 2048, vlmevalkit_prompt("")});
  Protocol lmms = rescored(llava, "lmms-eval", "yes-no-whole");
  Protocol paper = renamed(llava, "paper", {"the paper does not report POPE; this is Bunny's script"});
  Protocol strict = rescored(llava, "strict", "yes-no-strict");
  std::vector<Protocol> all = {llava, kit, lmms, paper, strict};
  for (Protocol& protocol : all) {
    const bool by_split = protocol.name == "llava" || protocol.name == "paper";
    protocol.headline_name = by_split ? "mean F1 of the splits" : "F1 over all";
    PopeScript script;
    script.unparsed_is_no = protocol.name != "lmms-eval";
    script.has_yes_ratio = protocol.name == "lmms-eval";
    if (!by_split) script.share_of_nothing = 0;  // LLaVA's script, and Bunny's, would fail
    protocol.headline = by_split ? Headline(pope_mean_f1) : pope_f1(script);
    protocol.more = [script](std::span<const Scored> items) { return pope_numbers(items, script); };
  }
  for (std::size_t i : {0, 3}) {
    all[i].notes.emplace_back("an empty or unclear answer counts as yes, so nothing is ever unparsed");
  }
  all[1].notes.emplace_back("an unclear answer counts as no in F1 and as wrong in accuracy");
  all[2].notes.emplace_back("an answer of more than the one word is wrong, and left out of precision, recall and F1");
  all[2].notes.emplace_back(
      "the yes ratio is that of the right answers, as in the harness; the yes share, of the model's");
  return all;
}

}  // namespace

Benchmark pope_benchmark() {
  return {.name = "pope",
          .title = "POPE (COCO: random, popular, adversarial)",
          .measures = "whether a model says that objects are in a picture which are not",
          .files = {pope_labels_file(), pope_asked_file(), pope_tables()},
          .pictures = "http://images.cocodataset.org/zips/val2014.zip",
          .kinds = {"split"},
          .protocols = pope_protocols(),
          .read = read_pope};
}

}  // namespace striate

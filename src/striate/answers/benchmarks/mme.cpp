// MME: fourteen tasks of yes-or-no questions, two about each picture. Source: Fu et al., 2023; calculation_mme.py.
#include <array>
#include <map>
#include <set>

#include "striate/answers/benchmarks/all.h"
#include "striate/answers/metrics.h"
#include "striate/answers/prompts.h"
#include "striate/answers/python_text.h"
#include "striate/answers/question_table.h"
#include "striate/base/files.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/tables/rows.h"

namespace striate {
namespace {

constexpr std::array<const char*, 10> kPerception = {"existence", "count", "position", "color",   "posters",
                                                     "celebrity", "scene", "landmark", "artwork", "OCR"};
constexpr std::array<const char*, 4> kCognition = {"commonsense_reasoning", "numerical_calculation", "text_translation",
                                                   "code_reasoning"};
constexpr std::string_view kYesOrNo = "Please answer yes or no.";

const NeededFile& mme_answers_file() {
  static const NeededFile file{
      {"MME_Benchmark_release_version/*/*.txt", "MME_Benchmark_release_version/*/questions_answers_YN/*.txt"},
      "questions and answers, a folder for each task",
      "the authors of MME on request: github.com/BradyFU/Awesome-Multimodal-Large-Language-Models, branch Evaluation"};
  return file;
}

const NeededFile& mme_asked_file() {
  static const NeededFile file{{"bunny_mme.jsonl", "llava_mme.jsonl"},
                               "the questions as LLaVA and Bunny ask them",
                               "eval/mme of github.com/BAAI-DCAI/Bunny, or LLaVA's eval.zip",
                               true};
  return file;
}

const NeededFile& mme_tables() {
  static const NeededFile file =
      question_tables("MME", "test", "", "VLMEvalKit (MME.tsv), or huggingface.co/datasets/lmms-lab-encoder/MME");
  return file;
}

// What a question is known by when prompts differ in the request at their end and in spaces before it.
std::string mme_bare(std::string_view text) {
  for (const std::string_view ending : {kSingleWord.substr(1), kYesOrNo}) {
    const std::size_t at = text.rfind(ending);
    if (at != std::string_view::npos) text = text.substr(0, at);
  }
  return std::string(python::strip(text));
}

std::string mme_area(const std::string& task) {
  const bool perceives = std::ranges::find(kPerception, task) != kPerception.end();
  return perceives ? "perception" : "cognition";
}

Question mme_question(const std::string& task, const std::string& picture, const std::string& text) {
  Question question;
  question.publisher_id = cat(task, "/", picture);
  question.text = cat(mme_bare(text), " ", kYesOrNo);
  question.pictures = {question.publisher_id};
  // Some tasks keep their pictures in a folder: "images/0001.jpg".
  question.group = cat(task, "/", std::filesystem::path(picture).stem().string());
  question.kinds["task"] = {task};
  question.kinds["area"] = {mme_area(task)};
  return question;
}

// The picture beside "FOLDER/0001.txt", whatever its format.
std::string mme_picture(const std::filesystem::path& text_file, const std::filesystem::path& task_folder) {
  for (const char* folder : {"images", ""}) {
    for (const char* extension : {".jpg", ".png"}) {
      const std::filesystem::path picture = task_folder / folder / (text_file.stem().string() + extension);
      if (is_file(picture)) return (std::filesystem::path(folder) / picture.filename()).string();
    }
  }
  return text_file.stem().string() + ".jpg";
}

// "QUESTION<tab>ANSWER" on each line.
void read_mme_text(QuestionSet& set, const DataFolder& data, const std::filesystem::path& path,
                   const std::filesystem::path& task_folder) {
  constexpr std::uint64_t kMostBytes = 1 << 20;
  std::size_t number = 0;
  for (const std::string& line : split(read_file(path, kMostBytes), '\n')) {
    ++number;
    const std::string_view text = python::strip(line);
    if (text.empty()) continue;
    const std::size_t tab = text.rfind('\t');
    const std::string answer = tab == std::string_view::npos ? "" : python::lower(text.substr(tab + 1));
    if (answer != "yes" && answer != "no") {
      const std::string place = cat(path.string(), ":", number);
      data.bad_rows().add(
          {place, cat(place, ": not a question, a tab, and Yes or No"), "get the file anew from the authors of MME"});
      continue;
    }
    const std::string task = task_folder.filename().string();
    Question question = mme_question(task, mme_picture(path, task_folder), std::string(text.substr(0, tab)));
    question.references = {answer};
    set.questions.push_back(std::move(question));
  }
}

void read_mme_folders(QuestionSet& set, const DataFolder& data, const std::filesystem::path& root) {
  for (const std::filesystem::path& task : entries_of(root)) {
    if (!is_folder(task)) continue;
    const std::filesystem::path apart = task / "questions_answers_YN";
    for (const std::filesystem::path& file : entries_of(is_folder(apart) ? apart : task)) {
      if (file.extension() == ".txt") read_mme_text(set, data, file, task);
    }
  }
}

// The questions in LLaVA's order, with the answers of the official folders.
void take_mme_order(QuestionSet& set, const DataFolder& data, const std::filesystem::path& asked, bool has_answers) {
  std::map<std::string, std::string> answers;
  for (const Question& question : set.questions) {
    answers[cat(question.group, "\n", question.text)] = question.references[0];
  }
  set.questions.clear();
  data.each_row(asked, [&](const Row& row) {
    const std::string id = text_of(row, "question_id");
    const std::size_t slash = id.find('/');
    if (slash == std::string::npos) bad_row(row, "\"question_id\" is not TASK/PICTURE");
    Question question = mme_question(id.substr(0, slash), id.substr(slash + 1), text_of(row, "text"));
    const auto answer = answers.find(cat(question.group, "\n", question.text));
    if (has_answers && answer == answers.end()) bad_row(row, "MME's own files have no such question");
    if (answer != answers.end()) question.references = {answer->second};
    set.questions.push_back(std::move(question));
  });
}

// A row of VLMEvalKit's table (index, image_path) or lmms-eval's (question_id: TASK/PICTURE).
Question mme_row(const Row& row) {
  const std::string task = text_of(row, "category");
  const std::string path = text_of_first(row, {"question_id", "image_path", "image"});
  Question question = mme_question(task, path.substr(path.rfind('/') + 1), text_of(row, "question"));
  if (has(row, "index")) question.publisher_id = text_of(row, "index");
  if (has(row, "image")) question.pictures = pictures_of(row);
  question.references = {python::lower(text_of(row, "answer"))};
  if (question.references[0] != "yes" && question.references[0] != "no") {
    bad_row(row, cat("the answer '", question.references[0], "' is neither yes nor no"));
  }
  return question;
}

QuestionSet read_mme(const DataFolder& data) {
  QuestionSet set;
  const auto tables = data.find_tables(mme_tables(), {mme_asked_file()});
  if (!tables.empty()) {
    read_rows(set, data, tables, [&](const Row& row) { set.questions.push_back(mme_row(row)); });
    return set;
  }
  for (const auto& root : {data.path() / "MME_Benchmark_release_version", data.path()}) {
    if (set.questions.empty() && is_folder(root)) read_mme_folders(set, data, root);
  }
  const bool has_answers = !set.questions.empty();
  const auto asked = data.find(mme_asked_file());
  if (!has_answers && !asked) throw data.missing(mme_answers_file());
  if (asked) take_mme_order(set, data, *asked, has_answers);
  if (!has_answers) set.no_references = data.missing(mme_answers_file());
  return set;
}

// acc + acc+ of each task, at most 200, summed over the tasks of `area` (empty: of both).
double mme_points(std::span<const Scored> items, std::span<const double> weights, const std::string& area) {
  double sum = 0;
  for (const auto& [task, part] : parts_by_kind(items, weights, "task")) {
    if (!area.empty() && mme_area(task) != area) continue;
    sum += mean_score(part.items, part.weights) + all_right_share(part.items, part.weights);
  }
  return sum;
}

std::vector<Metric> mme_more(std::span<const Scored> items) {
  const std::vector<double> weights = ones(items.size());
  std::vector<Metric> metrics;
  for (const char* area : {"perception", "cognition"}) {
    const auto areas = parts_by_kind(items, weights, "area");
    const auto part = areas.find(area);
    if (part == areas.end()) continue;
    metrics.push_back(
        {area, mme_points(items, weights, area), "points", static_cast<std::int64_t>(part->second.items.size())});
  }
  for (const auto& [task, part] : parts_by_kind(items, weights, "task")) {
    const auto count = static_cast<std::int64_t>(part.items.size());
    const double accuracy = mean_score(part.items), plus = all_right_share(part.items, part.weights);
    metrics.push_back({task, accuracy + plus, "points", count});
    metrics.push_back({task + " acc", accuracy, "%", count});
    metrics.push_back({task + " acc+", plus, "%", count});
  }
  return metrics;
}

std::string mme_llava_prompt(const Question& question, const QuestionSet&) {
  return cat(kImageLine, mme_bare(question.text), kSingleWord);
}

std::vector<Protocol> mme_protocols() {
  const std::string rule =
      "the question with \"Answer the question using a single word or phrase.\" in place of "
      "\"Please answer yes or no.\"";
  const Protocol llava = text_protocol({"llava", "single-word-128", rule, "mme", 128, mme_llava_prompt});
  const Protocol lmms = text_protocol({"lmms-eval", "single-word-16", rule, "mme-lmms", 16, mme_llava_prompt});
  const Protocol kit = text_protocol({"vlmevalkit", "vlmevalkit-plain-2048",
                                      "the question as published, after "
                                      "\" <image> \"",
                                      "yes-no-words", 2048, vlmevalkit_prompt("")});
  std::vector<Protocol> all = {llava, kit, lmms,
                               renamed(llava, "paper", {"the paper does not report MME; this is Bunny's script"}),
                               rescored(llava, "strict", "yes-no-strict")};
  for (Protocol& protocol : all) {
    protocol.headline_name = "perception + cognition";
    protocol.headline_unit = "points";
    protocol.headline = [](std::span<const Scored> items, std::span<const double> weights) {
      return mme_points(items, weights, "");
    };
    protocol.more = mme_more;
  }
  return all;
}

}  // namespace

Benchmark mme_benchmark() {
  return {.name = "mme",
          .title = "MME",
          .measures = "perception (2000 points) and cognition (800 points) by yes-or-no questions",
          .files = {mme_answers_file(), mme_asked_file(), mme_tables()},
          .pictures = "they lie beside the questions in MME_Benchmark_release_version",
          .kinds = {"area", "task"},
          .protocols = mme_protocols(),
          .read = read_mme,
          .scores_groups = true};
}

}  // namespace striate

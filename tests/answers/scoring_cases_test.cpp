// Every case of scoring_cases.json (what published scoring code gave) through the rules that `eval score` uses. Another
// file of that form may take its place: STRIATE_TESTDATA names the folder.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "striate/answers/benchmark.h"
#include "striate/answers/metrics.h"
#include "striate/answers/rules.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/answers/reference_folder.h"

namespace striate {
namespace {

using nlohmann::json;

std::vector<std::string> texts(const json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  return value.get<std::vector<std::string>>();
}

// The options of {"A": ..., "B": ...}.
std::vector<std::string> options(const json& choices) {
  std::vector<std::string> list;
  for (const auto& [letter, text] : choices.items()) list.push_back(text.get<std::string>());
  return list;
}

Question question_with(const json& references) {
  Question question;
  question.references = texts(references);
  return question;
}

// What a case says about an answer: its score where it has one, and what was read in it.
void expect_judged(const std::string& rule, const Question& question, const json& test, const char* parsed) {
  SCOPED_TRACE(test.dump());
  const std::string text = test.at("pred").is_null() ? "" : test.at("pred").get<std::string>();
  const Judgement judgement = scoring_rule(rule).judge(question, text);
  if (test.contains("score") && test.at("score").is_number()) {
    EXPECT_NEAR(judgement.score, test.at("score").get<double>(), 1e-6);
  }
  if (parsed == nullptr || !test.contains(parsed)) return;
  const json& expected = test.at(parsed);
  const std::set<std::string> unread = {"FAILED", "RANDOM", "other", "[invalid]", "IndexError"};
  if (expected == false || unread.contains(expected.get<std::string>())) {
    EXPECT_TRUE(judgement.unparsed);
    return;
  }
  EXPECT_FALSE(judgement.unparsed);
  EXPECT_EQ(judgement.parsed, expected.get<std::string>());
}

// A case whose fields need no more than a list of references under one of these names.
void judge_plainly(const std::string& rule, const json& test, const char* references, const char* parsed) {
  expect_judged(rule, question_with(test.contains(references) ? test.at(references) : json::array()), test, parsed);
}

Scored scored(const Question& question, const std::string& rule, const std::string& text) {
  return {&question, scoring_rule(rule).judge(question, text), true};
}

// "Accuracy: 66.67%" and "Accuracy: 0.6667" as percent; nullopt where the script does not print the name.
std::optional<double> printed(const json& lines, const std::string& name) {
  for (const auto& line : lines) {
    const auto text = line.get<std::string>();
    if (!text.starts_with(name + ": ")) continue;
    const double value = std::stod(text.substr(name.size() + 2));
    return text.find('%') == std::string::npos ? 100 * value : value;
  }
  return std::nullopt;
}

double number(const std::vector<Metric>& metrics, const std::string& name) {
  for (const Metric& metric : metrics) {
    if (metric.name == name) return metric.value;
  }
  ADD_FAILURE() << "there is no number '" << name << "'";
  return std::nan("");
}

void expect_printed(const json& lines, const std::string& printed_name, double value) {
  const std::optional<double> expected = printed(lines, printed_name);
  ASSERT_TRUE(expected) << printed_name << " in " << lines.dump();
  EXPECT_NEAR(value, *expected, 0.005 + 1e-9) << printed_name;
}

void gqa_case(const json& test) {
  judge_plainly("gqa", test, "answer", "converted");
}

void gqa_aggregate(const json& aggregate) {
  std::vector<Question> questions;
  for (const auto& item : aggregate.at("items")) {
    Question question = question_with(item.at("answer"));
    question.id = std::to_string(questions.size());
    question.kinds["answer"] = {item.at("structural") == "query" ? "open" : "binary"};
    question.kinds["group"] = {"all"};
    questions.push_back(std::move(question));
  }
  std::vector<Scored> items;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    items.push_back(scored(questions[i], "gqa", aggregate.at("items")[i].at("pred")));
  }
  const json& lines = aggregate.at("script_output");
  const Protocol& llava = find_protocol(find_benchmark("gqa"), "llava");
  expect_printed(lines, "Accuracy", mean_score(items));
  expect_printed(lines, "Binary", number(llava.more(items), "binary"));
  expect_printed(lines, "Open", number(llava.more(items), "open"));
}

void pope_aggregate(const json& test) {
  SCOPED_TRACE(test.dump());
  std::vector<Question> questions;
  for (const auto& item : test.at("items")) {
    Question question = question_with(item.at("label"));
    question.kinds["split"] = {"random"};
    questions.push_back(std::move(question));
  }
  std::vector<Scored> items;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    items.push_back(scored(questions[i], "pope", test.at("items")[i].at("pred")));
  }
  const YesNoCounts counts = yes_no_counts(items, ones(items.size()));
  const json& lines = test.at("script_output");
  EXPECT_EQ(cat(counts.true_yes, "\t", counts.false_yes, "\t", counts.true_no, "\t", counts.false_no), lines.at(1));
  const std::vector<Metric> metrics = find_protocol(find_benchmark("pope"), "llava").more(items);
  if (lines.back() == "ZeroDivisionError") {
    EXPECT_TRUE(std::isnan(number(metrics, "F1")));
    return;
  }
  const std::map<std::string, std::string> names = {{"Accuracy", "accuracy"},
                                                    {"Precision", "precision"},
                                                    {"Recall", "recall"},
                                                    {"F1 score", "F1"},
                                                    {"Yes ratio", "yes share"}};
  for (const auto& [theirs, ours] : names) expect_printed(lines, theirs, number(metrics, ours));
}

// The lines that calculation_mme.py prints, as numbers by task and as the total of each area.
void expect_mme_lines(const json& lines, const std::vector<Metric>& metrics) {
  std::string area;
  for (const auto& line : lines) {
    const auto text = line.get<std::string>();
    if (text.find("Perception") != std::string::npos) area = "perception";
    if (text.find("Cognition") != std::string::npos) area = "cognition";
    const std::size_t total = text.find("total score: "), task = text.find(" score: ");
    if (total != std::string::npos) {
      EXPECT_NEAR(number(metrics, area), std::stod(text.substr(total + 13)), 1e-6) << text;
    } else if (task != std::string::npos) {
      const std::string name(trim(text.substr(0, task)));
      EXPECT_NEAR(number(metrics, name), std::stod(text.substr(task + 8)), 1e-6) << text;
    }
  }
}

void mme_aggregate(const json& test) {
  std::vector<Question> questions;
  std::vector<std::string> answers;
  const std::set<std::string> cognition = {"commonsense_reasoning", "numerical_calculation", "text_translation",
                                           "code_reasoning"};
  const std::vector<std::string> perception = {"existence", "count", "position", "color",   "posters",
                                               "celebrity", "scene", "landmark", "artwork", "OCR"};
  std::set<std::string> all(perception.begin(), perception.end());
  all.insert(cognition.begin(), cognition.end());
  for (const std::string& task : all) {
    // "one image, both answers right => 200" for the tasks that are not listed.
    const json two = {{{"image", "1.jpg"}, {"gt", "Yes"}, {"pred", "Yes"}},
                      {{"image", "1.jpg"}, {"gt", "No"}, {"pred", "No"}}};
    const json& items = test.at("tasks").contains(task) ? test.at("tasks").at(task) : two;
    for (const auto& item : items) {
      Question question = question_with(item.at("gt"));
      question.group = cat(task, "/", item.at("image").get<std::string>());
      question.kinds["task"] = {task};
      question.kinds["area"] = {cognition.contains(task) ? "cognition" : "perception"};
      questions.push_back(std::move(question));
      answers.push_back(item.at("pred"));
    }
  }
  std::vector<Scored> items;
  for (std::size_t i = 0; i < questions.size(); ++i) items.push_back(scored(questions[i], "mme", answers[i]));
  expect_mme_lines(test.at("script_output"), find_protocol(find_benchmark("mme"), "llava").more(items));
}

Question scienceqa_question(const json& test) {
  Question question;
  question.options.assign(test.at("num_choices").get<std::size_t>(), "c");
  question.references = {std::string(1, static_cast<char>('A' + test.at("answer_index").get<int>()))};
  if (test.at("has_image") == true) question.pictures = {"image.png"};
  return question;
}

void scienceqa_total(const json& metric) {
  std::vector<Question> questions;
  for (const auto& test : metric.at("cases")) questions.push_back(scienceqa_question(test));
  std::vector<Scored> items;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const json& answer = metric.at("cases")[i].at("pred");
    items.push_back(scored(questions[i], "scienceqa", answer.is_null() ? "" : answer.get<std::string>()));
    items.back().answered = !answer.is_null();
  }
  const Protocol& llava = find_protocol(find_benchmark("scienceqa"), "llava");
  const auto line = metric.at("script_output").get<std::string>();
  const auto after = [&](const std::string& name) { return std::stod(line.substr(line.find(name) + name.size())); };
  EXPECT_NEAR(mean_score(items), after(" Accuracy: "), 0.005 + 1e-9);
  EXPECT_NEAR(llava.headline(items, ones(items.size())), after("IMG-Accuracy: "), 0.005 + 1e-9);
}

void mmmu_choice(const json& test) {
  Question question = question_with(test.at("gold"));
  question.options = options(test.at("index2ans"));
  expect_judged("mmmu-choice", question, test, "parsed");
  if (test.at("parsed") != "RANDOM") return;
  const double chance = 1 / static_cast<double>(question.options.size());
  EXPECT_EQ(scoring_rule("mmmu-choice").judge(question, test.at("pred").get<std::string>()).score, chance);
}

void mmmu_open(const json& test) {
  expect_judged("mmmu-open", question_with(test.at("gold")), test, nullptr);
  EXPECT_EQ(json(mmmu_open_candidates(test.at("pred").get<std::string>())), test.at("parsed")) << test.dump();
}

void refcoco(const json& test) {
  SCOPED_TRACE(test.dump());
  Question question;
  question.box = test.at("gt_xyxy").get<Box>();
  const auto text = test.at("pred").get<std::string>();
  const Judgement judgement = scoring_rule("iou").judge(question, text);
  EXPECT_EQ(first_box(text).value_or(Box{}), test.at("parsed").get<Box>());
  EXPECT_NEAR(judgement.detail, test.at("iou").get<double>(), 1e-6);
  EXPECT_EQ(judgement.score, test.at("acc@0.5").get<double>());
}

void tdiuc(const json& test) {
  judge_plainly("tdiuc", test, "answer", "normalised_pred");
  const TdiucPair pair = tdiuc_normalised(test.at("pred").get<std::string>(), test.at("answer").get<std::string>());
  EXPECT_EQ(pair.reference, test.at("normalised_answer")) << test.dump();
}

using Case = std::function<void(const json&)>;

Case plain(const char* rule, const char* references, const char* parsed = nullptr) {
  return [=](const json& test) { judge_plainly(rule, test, references, parsed); };
}

Case with_options(const char* rule, const char* choices, const char* parsed) {
  return [=](const json& test) {
    Question question;
    question.options = options(test.at(choices));
    expect_judged(rule, question, test, parsed);
  };
}

// What to do with each case of a metric, by the metric's name.
const std::map<std::string, Case>& cases() {
  static const std::map<std::string, Case> all = {
      {"answer_normalisation",
       [](const json& test) { EXPECT_EQ(evalai_normalised(test.at("in").get<std::string>()), test.at("out")); }},
      {"textvqa_accuracy", plain("textvqa", "answers")},
      {"stvqa_exact", plain("stvqa-exact", "answers")},
      {"stvqa_anls", plain("stvqa-anls", "answers")},
      {"vqav2_accuracy", plain("vqav2", "answers", "normalised_pred")},
      {"gqa", gqa_case},
      {"pope_parse", plain("pope", "label", "parsed")},
      {"pope_aggregate", pope_aggregate},
      {"mme_parse", plain("mme", "gt", "parsed")},
      {"mme_aggregate", mme_aggregate},
      {"scienceqa", [](const json& test) { expect_judged("scienceqa", scienceqa_question(test), test, "parsed"); }},
      {"mmmu_multi_choice", mmmu_choice},
      {"mmmu_open", mmmu_open},
      {"mmbench_match", with_options("mmbench", "choices", "inferred")},
      {"docvqa_anls", plain("docvqa-anls", "answers")},
      {"refcoco_iou", refcoco},
      {"tdiuc", tdiuc},
      {"ocrvqa_contains", plain("ocrvqa-contains", "annotation")},
      {"chartqa_relaxed", plain("chartqa-relaxed", "annotation")},
      {"chartqa_test", plain("chartqa", "annotation")},
      {"ai2d", [](const json& test) { expect_judged("ai2d", question_with(test.at("gt_index")), test, nullptr); }},
      {"hallusionbench", plain("hallusionbench", "gt", "parsed")},
      {"seedbench", plain("exact", "answer")},
      {"gsm8k", plain("gsm8k", "answer", "extracted")},
      {"bbh", plain("bbh", "target")},
      {"cmmmu_multi_choice", with_options("cmmmu", "index2ans", "parsed")},
  };
  return all;
}

TEST(ScoringCases, AreScoredAsThePublishedCodeScoresThem) {
  const json file = json::parse(read_file(test::scoring_reference("scoring_cases.json")));
  std::size_t count = 0;
  for (const auto& [name, metric] : file.at("metrics").items()) {
    SCOPED_TRACE(name);
    const auto run = cases().find(name);
    ASSERT_NE(run, cases().end()) << "there is no rule for the metric '" << name << "'";
    for (const auto& test : metric.at("cases")) {
      run->second(test);
      ++count;
    }
    if (name == "gqa" && metric.contains("aggregate")) gqa_aggregate(metric.at("aggregate"));
    if (name == "scienceqa" && metric.contains("script_output")) scienceqa_total(metric);
  }
  EXPECT_GT(count, 0U);
  RecordProperty("cases", static_cast<int>(count));
}

TEST(ScoringCases, CoverEveryMetricOfTheRepositorysFile) {
  const json file = json::parse(read_file(test::sources() / "tests/reference/testdata/scoring_cases.json"));
  EXPECT_EQ(file.at("metrics").size(), cases().size());
}

}  // namespace
}  // namespace striate

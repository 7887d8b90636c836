// striate eval from outside: the published scripts' output on whole answer files, comparisons, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/answers/reference_folder.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

CommandResult eval(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {STRIATE_PROGRAM, "eval"});
  return run_command(arguments);
}

// A file of the published scripts' output, and the small benchmark folders that it is about.
json expected(const std::string& benchmark) {
  return json::parse(read_file(scoring_reference("eval_data/expected_end_to_end.json"))).at(benchmark);
}

fs::path data_of(const std::string& benchmark) {
  return scoring_reference("eval_data/" + benchmark);
}

// The score of the example answers by one protocol, as --json prints it.
json scored(const std::string& benchmark, const std::string& protocol) {
  const fs::path data = data_of(benchmark);
  const CommandResult result = eval({"score", "--answers", (data / "answers_example.jsonl").string(), "--benchmark",
                                     benchmark, "--data", data.string(), "--protocol", protocol, "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.exit_code == 0 ? json::parse(result.out).at("scores").at(0) : json();
}

double metric(const json& score, const std::string& name) {
  for (const auto& number : score.at("metrics")) {
    if (number.at("name") == name) return number.at("value");
  }
  ADD_FAILURE() << "no '" << name << "' in " << score.dump();
  return 0;
}

double after_colon(const std::string& line) {
  return std::stod(line.substr(line.find(": ") + 2));
}

TEST(EvalScore, PopeIsWhatLlavasScriptPrints) {
  const json score = scored("pope", "llava");
  std::string split;
  double f1 = 0;
  const json output = expected("pope");
  for (const auto& item : output.at("stdout")) {
    const auto line = item.get<std::string>();
    if (line.starts_with("Category: ")) split = line.substr(10, line.find(',') - 10) + " ";
    const std::pair<const char*, const char*> names[] = {{"Accuracy", "accuracy"},
                                                         {"Precision", "precision"},
                                                         {"Recall", "recall"},
                                                         {"F1 score", "F1"},
                                                         {"Yes ratio", "yes share"}};
    for (const auto& [theirs, ours] : names) {
      if (!line.starts_with(theirs)) continue;
      EXPECT_NEAR(metric(score, split + ours), 100 * after_colon(line), 1e-9) << split << line;
      if (line.starts_with("F1")) f1 += after_colon(line);
    }
  }
  EXPECT_NEAR(score.at("headline").at("value").get<double>(), 100 * f1 / 3, 1e-9);
  EXPECT_EQ(score.at("answered"), 900);
}

TEST(EvalScore, GqaIsWhatTheScriptOfGqaPrints) {
  const json score = scored("gqa", "llava");
  const std::map<std::string, std::string> kinds = {{"structural type", "structural type"},
                                                    {"semantic type", "semantic type"},
                                                    {"steps number", "steps"},
                                                    {"words number", "words"}};
  std::string kind;
  int rows = 0;
  const json output = expected("gqa");
  for (const auto& item : output.at("stdout")) {
    const auto line = item.get<std::string>();
    if (line.starts_with("Binary")) {
      EXPECT_NEAR(metric(score, "binary"), after_colon(line), 0.005 + 1e-9);
    }
    if (line.starts_with("Open")) {
      EXPECT_NEAR(metric(score, "open"), after_colon(line), 0.005 + 1e-9);
    }
    if (line.starts_with("Accuracy: ")) {
      EXPECT_NEAR(score.at("headline").at("value").get<double>(), after_colon(line), 0.005 + 1e-9);
    }
    if (line.starts_with("Distribution")) {
      EXPECT_NEAR(metric(score, "distribution (lower is better)"), after_colon(line), 0.005 + 1e-9);
    }
    if (line.starts_with("Accuracy / ")) kind = kinds.at(line.substr(11, line.size() - 12));
    if (!line.starts_with("  ")) continue;
    const std::string value = line.substr(2, line.find(':') - 2);
    const auto& list = score.at("kinds").at(kind);
    const auto row = std::find_if(list.begin(), list.end(), [&](const json& one) { return one.at("value") == value; });
    ASSERT_NE(row, list.end()) << line;
    EXPECT_NEAR(row->at("score").get<double>(), after_colon(line), 0.005 + 1e-9) << line;
    EXPECT_EQ(row->at("questions"), std::stoi(line.substr(line.find('(') + 1))) << line;
    ++rows;
  }
  EXPECT_GT(rows, 20);
}

TEST(EvalScore, ScienceQaIsWhatLlavasScriptPrints) {
  if (!fs::exists(data_of("scienceqa"))) {
    GTEST_SKIP() << "the licence of ScienceQA keeps its questions out of the repository: set STRIATE_TESTDATA";
  }
  const json score = scored("scienceqa", "llava");
  const auto line = expected("scienceqa").at("stdout").get<std::string>();
  EXPECT_NEAR(metric(score, "accuracy, all questions"), std::stod(line.substr(line.find(" Accuracy: ") + 11)),
              0.005 + 1e-9);
  EXPECT_NEAR(score.at("headline").at("value").get<double>(), std::stod(line.substr(line.find("IMG-Accuracy: ") + 14)),
              0.005 + 1e-9);
}

TEST(EvalScore, Gsm8kIsWhatTheAuthorsFunctionCounts) {
  const json score = scored("gsm8k", "strict");
  const json wanted = expected("gsm8k");
  const double correct = wanted.at("correct"), total = wanted.at("total");
  EXPECT_EQ(score.at("answered"), wanted.at("total"));
  EXPECT_NEAR(score.at("headline").at("value").get<double>(), 100 * correct / total, 1e-9);
}

// Folders and files that one test needs.
class EvalFiles : public testing::Test {
 protected:
  std::string put(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_.path() / name).parent_path());
    write_file(folder_.path() / name, text);
    return (folder_.path() / name).string();
  }
  std::string path(const std::string& name = {}) const { return (folder_.path() / name).string(); }
  // Four questions of llava-json whose right answers are red, blue, two and dog.
  std::string questions() const {
    json samples = json::array();
    for (const auto& [id, answer] : {std::pair("1", "red"), {"2", "blue"}, {"3", "two"}, {"4", "dog"}}) {
      samples.push_back(
          {{"id", id},
           {"image", cat(id, ".png")},
           {"conversations",
            {{{"from", "human"}, {"value", cat("<image>\nquestion ", id)}}, {{"from", "gpt"}, {"value", answer}}}}});
    }
    return put("q/mine.json", samples.dump());
  }
  CommandResult score(const std::string& answers, const std::string& benchmark, const std::string& data,
                      std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"score", "--answers", answers, "--benchmark", benchmark, "--data", data};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return eval(arguments);
  }
  static void expect_refused(const CommandResult& result, const std::string& what, const std::string& hint = {}) {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr("error: "));
    EXPECT_THAT(result.err, HasSubstr(what));
    EXPECT_THAT(result.err, HasSubstr("hint: " + hint));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 2) << result.err;
  }

  TemporaryFolder folder_;
};

TEST_F(EvalFiles, SeveralProtocolsStandSideBySideWithTheirCounts) {
  const std::string answers = put("a.jsonl", R"({"question_id": "1", "text": "Red"}
{"question_id": "2", "text": ""}
{"question_id": "3", "text": "It is 2", "stop": "length"}
{"question_id": "4", "text": "a dog", "prompt": "another question"}
)");
  const CommandResult result =
      score(answers, "llava-json", questions(), {"--protocol", "exact,vqa,contains", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json scores = json::parse(result.out).at("scores");
  ASSERT_EQ(scores.size(), 3U);
  EXPECT_EQ(scores[0].at("headline").at("value"), 0.0);
  EXPECT_EQ(scores[1].at("headline").at("value"), 50.0);  // red, and a dog
  EXPECT_EQ(scores[2].at("headline").at("value"), 50.0);
  for (const json& one : scores) {
    EXPECT_EQ(one.at("empty"), 1);
    EXPECT_EQ(one.at("cut"), 1);
    EXPECT_EQ(one.at("other_prompt"), 1);
  }
  const CommandResult table = score(answers, "llava-json", questions(), {"--protocol", "exact,vqa"});
  EXPECT_THAT(table.out, testing::ContainsRegex("exact +0.00% .*4 of 4 +1 +0 +1 +1"));
  EXPECT_THAT(table.out, testing::ContainsRegex("vqa +50.00%"));
}

TEST_F(EvalFiles, CompareNamesTheQuestionsThatChangedAndRepeatsItsInterval) {
  const std::string before = put("before.jsonl",
                                 "{\"question_id\": \"1\", \"text\": \"red\"}\n"
                                 "{\"question_id\": \"2\", \"text\": \"green\"}\n"
                                 "{\"question_id\": \"3\", \"text\": \"one\"}\n");
  const std::string after = put("after.jsonl",
                                "{\"question_id\": \"1\", \"text\": \"green\"}\n"
                                "{\"question_id\": \"2\", \"text\": \"blue\"}\n"
                                "{\"question_id\": \"3\", \"text\": \"two\"}\n"
                                "{\"question_id\": \"4\", \"text\": \"dog\"}\n");
  const std::vector<std::string> arguments = {"compare",   before,       after,   "--benchmark", "llava-json", "--data",
                                              questions(), "--protocol", "exact", "--json",      "--seed",     "7"};
  const CommandResult result = eval(arguments);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json out = json::parse(result.out);
  const json difference = out.at("benchmarks")[0].at("differences")[0];
  EXPECT_EQ(out.at("seed"), 7);
  EXPECT_EQ(difference.at("questions"), 3);  // the fourth was answered in one alone
  EXPECT_NEAR(difference.at("difference").get<double>(), 100.0 / 3, 1e-9);
  EXPECT_EQ(difference.at("worse").size(), 1U);
  EXPECT_EQ(difference.at("worse")[0].at("question"), "1");
  EXPECT_EQ(difference.at("better").size(), 2U);
  EXPECT_LT(difference.at("interval").at("low"), difference.at("difference"));
  EXPECT_GT(difference.at("interval").at("high"), difference.at("difference"));
  EXPECT_EQ(eval(arguments).out, result.out);
}

TEST_F(EvalFiles, CompareSaysThatItHasNoIntervalsWhereNothingIsDrawn) {
  const std::string before = put("plain.jsonl", "{\"question_id\": \"1\", \"text\": \"red\"}\n");
  const std::string after = put("other.jsonl", "{\"question_id\": \"1\", \"text\": \"blue\"}\n");
  const auto compared = [&](const std::string& draws) {
    const CommandResult result = eval({"compare", before, after, "--benchmark", "llava-json", "--data", questions(),
                                       "--protocol", "exact", "--draws", draws});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_THAT(compared("0"), HasSubstr("\nintervals: none were computed\n"));
  EXPECT_THAT(compared("20"), HasSubstr("\nintervals: the middle 95% of 20 draws of the questions, seed 1\n"));
}

TEST_F(EvalFiles, CompareTakesWhatARunSaysItEvaluated) {
  const std::string data = questions();
  const json record = {{"benchmarks", {{{"name", "llava-json"}, {"data", data}, {"protocol", "exact"}}}}};
  put("one/run.json", record.dump());
  put("one/answers.jsonl", "{\"question_id\": \"1\", \"text\": \"red\"}\n");
  put("two/answers.jsonl", "{\"question_id\": \"1\", \"text\": \"blue\"}\n");
  const CommandResult result = eval({"compare", path("one"), path("two")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("-100.0 points"));
  EXPECT_THAT(result.out, HasSubstr("1: 'red' -> 'blue' (right: 'red')"));
  expect_refused(eval({"compare", path("two"), path("one")}), "there is no run.json");
  expect_refused(eval({"compare", path("nowhere"), path("one")}), "nowhere: no such file or folder", "check the path");
  expect_refused(eval({"compare", path("one"), path("nowhere")}), "nowhere: no such file or folder", "check the path");
}

TEST_F(EvalFiles, AFolderWithFilesMissingSaysWhichAndWhereToGetThem) {
  fs::create_directories(path("empty"));
  const std::string answers = put("a.jsonl", "{\"question_id\": \"1\", \"text\": \"red\"}\n");
  const std::pair<const char*, const char*> needed[] = {{"gqa", "testdev_balanced_questions*.json"},
                                                        {"textvqa", "TextVQA_0.5.1_val.json"},
                                                        {"pope", "coco_pope_*.json"},
                                                        {"mme", "MME_Benchmark_release_version"},
                                                        {"docvqa", "val_v1.0_withQT.json"},
                                                        {"mmlu", "test/*_test.csv"},
                                                        {"seed", "SEED-Bench.json"}};
  for (const auto& [benchmark, file] : needed) {
    SCOPED_TRACE(benchmark);
    expect_refused(score(answers, benchmark, path("empty")), file, "get it from ");
  }
  expect_refused(score(answers, "gqa", path("nowhere")), "nowhere: there is no such folder");
}

TEST_F(EvalFiles, QuestionsWithoutTheirReferencesAreNotScored) {
  put("t/llava_textvqa_val_v051_ocr.jsonl",
      "{\"question_id\": \"x\", \"image\": \"x.jpg\", \"text\": \"what?\\nReference OCR token: A\\nAnswer the question "
      "using a single word or phrase.\"}\n");
  const std::string answers = put("a.jsonl", "{\"question_id\": \"x\", \"text\": \"red\"}\n");
  expect_refused(score(answers, "textvqa", path("t")), "TextVQA_0.5.1_val.json", "get it from https://");
}

TEST_F(EvalFiles, AMalformedRowOrAnswerIsNamedByFileAndLine) {
  const std::string good = "{\"question_id\": \"1\", \"text\": \"red\"}\n";
  const std::string data = questions();
  expect_refused(score(put("1.jsonl", good + "{\"question_id\": \"2\", \"text\": \n" + good), "llava-json", data),
                 "1.jsonl:2");
  expect_refused(score(put("2.jsonl", good + "{\"text\": \"blue\"}\n"), "llava-json", data), "2.jsonl:2");
  expect_refused(score(put("3.jsonl", good + good), "llava-json", data),
                 "3.jsonl:2: question '1' is answered a second");
  put("g/test.jsonl", "{\"question\": \"a\", \"answer\": \"#### 1\"}\n{\"question\": \"b\"}\n");
  expect_refused(score(put("4.jsonl", "{\"index\": 0, \"text\": \"1\"}\n"), "gsm8k", path("g")), "test.jsonl:2");
}

TEST_F(EvalFiles, AnAnswerFileOfAnotherBenchmarkIsRefused) {
  const std::string data = questions();
  const std::string named = put("named.jsonl", "{\"question_id\": \"1\", \"benchmark\": \"gqa\", \"text\": \"red\"}\n");
  expect_refused(score(named, "llava-json", data), "the answers are of the benchmark gqa", "give --benchmark gqa");
  const std::string other = put("other.jsonl", "{\"question_id\": \"n98540\", \"text\": \"red\"}\n");
  expect_refused(score(other, "llava-json", data), "other.jsonl:1: the benchmark llava-json has no question 'n98540'");
}

TEST_F(EvalFiles, ALineThatAKilledRunDidNotFinishIsLeftOut) {
  const std::string answers =
      put("a.jsonl", "{\"question_id\": \"1\", \"text\": \"red\"}\n{\"question_id\": \"2\", \"te");
  const CommandResult result = score(answers, "llava-json", questions(), {"--protocol", "exact"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("the last line, which a killed run did not finish"));
  EXPECT_THAT(result.out, HasSubstr("1 of 4"));
}

TEST_F(EvalFiles, ATableWithPicturesIsScoredAndSaysWhatPandasDoesNotSee) {
  const std::string answers = put("answers.jsonl", R"({"question_id": "7", "text": "A"}
{"question_id": "1000007", "text": "B"})");
  const std::string table =
      put("kit/MMBench_DEV_EN.tsv", cat("index\tquestion\tA\tB\tC\tanswer\tcategory\timage\n7\t\"Which\nof "
                                        "them?\"\tcat\tNone\tdog\tA\tobject\t",
                                        std::string(100, 'A'), "\n1000007\tWhich?\tdog\tcat\tfox\tB\tobject\t7\n"));
  const CommandResult result = score(answers, "mmbench", path("kit"), {"--protocol", "vlmevalkit"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("100.00%"));
  EXPECT_THAT(result.out, HasSubstr("pandas reads as missing"));
  EXPECT_EQ(score(answers, "mmbench", table).exit_code, 0);  // the file in place of its folder
  put("kit/MMBench_DEV_EN.tsv", "index\tquestion\tA\timage\n7\tWhich?\tcat\t99\n");
  expect_refused(score(answers, "mmbench", path("kit")),
                 "MMBench_DEV_EN.tsv:2: \"image\" is neither base64 nor the index of a row");
}

TEST_F(EvalFiles, ScienceQasJsonSaysWhatPandasDoesNotSeeAsItsTableDoes) {
  put("sqa/problems.json",
      R"({"4": {"question": "Which?", "choices": ["cat", "None"], "answer": 0, "image": "image.png"}})");
  const std::string answers = put("a.jsonl", R"({"question_id": "4", "text": "None"})");
  const CommandResult result = score(answers, "scienceqa", path("sqa"), {"--protocol", "vlmevalkit", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("pandas reads as missing"));
  EXPECT_EQ(json::parse(result.out).at("scores").at(0).at("unparsed"), 1);  // there is no such option for VLMEvalKit
}

TEST_F(EvalFiles, MmesOwnFormIsScoredInTheTasksWithAFolderOfPictures) {
  const std::string old = "Is it old? Please answer yes or no.", recent = "Is it new? Please answer yes or no.";
  put("mme/MME_Benchmark_release_version/artwork/questions_answers_YN/7.txt", cat(old, "\tYes\n", recent, "\tNo\n"));
  put("mme/MME_Benchmark_release_version/artwork/images/7.jpg", "not looked at");
  put("answers/artwork.txt", cat("7.txt\t", old, "\tYes\tYes\n", "7.txt\t", recent, "\tNo\tno\n"));
  const CommandResult result = score(path("answers"), "mme", path("mme"), {"--protocol", "llava", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("scores").at(0).at("headline").at("value"), 200.0);
}

TEST_F(EvalFiles, PopesYesRatioByLmmsEvalIsTheHarnesssAndTheYesShareThatOfTheAnswers) {
  put("ratio/POPE.tsv", cat("index\timage\tquestion\tanswer\tcategory\n1\t", std::string(100, 'A'),
                            "\tIs there a car?\tYes\trandom\n2\t1\tIs there a bus?\tNo\trandom\n"));
  const CommandResult result = score(put("a.jsonl", R"({"question_id": "1", "text": "no"}
{"question_id": "2", "text": "no"})"),
                                     "pope", path("ratio"), {"--protocol", "lmms-eval", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json scores = json::parse(result.out).at("scores").at(0);
  EXPECT_EQ(metric(scores, "yes ratio"), 50);
  EXPECT_EQ(metric(scores, "yes share"), 0);
}

TEST_F(EvalFiles, VlmevalkitsPopeCountsARowInEachOfItsSplitsAndKnowsAnF1OfZero) {
  const std::string picture(100, 'A');
  put("kit/POPE.tsv", cat("index\timage\tquestion\tanswer\tcategory\n1\t", picture,
                          "\tIs there a car?\tYes\trandom,popular,adversarial", "\n2\t", picture,
                          "\tIs there a bus?\tNo\trandom\n3\t", picture, "\tIs there a dog?\tYes\tpopular\n"));
  const auto headline = [&](const std::string& answers) -> json {
    const CommandResult result = score(answers, "pope", path("kit"), {"--protocol", "vlmevalkit", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? json::parse(result.out).at("scores").at(0).at("headline").at("value") : json();
  };
  EXPECT_EQ(headline(put("a.jsonl", R"({"question_id": "1", "text": "Yes"}
{"question_id": "2", "text": "Yes"}
{"question_id": "3", "text": "No"})")),
            75.0);
  EXPECT_EQ(headline(put("b.jsonl", R"({"question_id": "1", "text": "No"}
{"question_id": "2", "text": "No"}
{"question_id": "3", "text": "No"})")),
            0.0);
}

TEST(EvalList, SaysWhatEveryBenchmarkNeedsAndHowItIsScored) {
  const CommandResult all = eval({"list"});
  ASSERT_EQ(all.exit_code, 0) << all.err;
  for (const char* name : {"bbh",     "c-eval",    "cmmlu", "docvqa", "gqa",     "gsm8k",      "llava-json",
                           "mmbench", "mme",       "mmlu",  "mmmu",   "ocrvqa",  "perplexity", "pope",
                           "refcoco", "scienceqa", "seed",  "tdiuc",  "textvqa", "vqav2"}) {
    EXPECT_THAT(all.out, HasSubstr(cat(name, ": "))) << name;
  }
  const CommandResult one = eval({"list", "tdiuc"});
  EXPECT_THAT(one.out, HasSubstr("sampled at temperature 0.2"));
  EXPECT_THAT(one.out, HasSubstr("kushalkafle.com"));
  const CommandResult wrong = eval({"list", "gqaa"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("did you mean gqa?"));
}

}  // namespace
}  // namespace striate::test

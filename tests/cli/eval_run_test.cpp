// striate eval run from outside: the same answers however they are asked, and nothing lost or asked twice.
#include <gmock/gmock.h>

#include "striate/base/base64.h"
#include "tests/cli/eval_world.h"
#include "tests/support/background.h"
#include "tests/support/ports.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class EvalRun : public EvalWorld {
 protected:
  static CommandResult ask(const std::string& out, const std::vector<std::string>& more = {}) {
    const CommandResult result = run_command(eval_run(out, more));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result;
  }
  static void expect_refused(const std::vector<std::string>& arguments, const std::string& words) {
    const CommandResult result = run_command(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_THAT(result.err, HasSubstr("hint: "));
  }
  // Where flags are given a second time, the second counts.
  static std::vector<std::string> replaced(std::vector<std::string> arguments, const std::string& flag,
                                           const std::string& value) {
    for (std::size_t i = 0; i + 1 < arguments.size(); ++i) {
      if (arguments[i] == flag) arguments[i + 1] = value;
    }
    return arguments;
  }
};

TEST_F(EvalRun, AnswersDoNotDependOnHowManyAreUnderWayOrOnTheMemory) {
  ask("one", {"--answers-at-once", "1"});
  const auto want = answers_of("one");
  ASSERT_EQ(want.size(), 42U);
  EXPECT_EQ(want.at("random/1").at("prompt"),
            "<image>\nIs there a dog number 0 in the image?\nAnswer the question using a single word or phrase.");
  EXPECT_EQ(want.at("random/1").at("pictures"), json({picture(0)}));
  ask("five", {"--answers-at-once", "5"});
  EXPECT_EQ(answers_of("five"), want);
  ask("all");
  EXPECT_EQ(answers_of("all"), want);
  ask("little", {"--memory-budget", "1MB"});
  EXPECT_EQ(answers_of("little"), want);
}

TEST_F(EvalRun, RanksShareTheQuestionsAndTheAnswersAreTheSame) {
  const json alone = json::parse(ask("alone", {"--json"}).out).at("benchmarks").at(0);
  for (const int ranks : {2, 3}) {
    const std::string out = cat("ranks", ranks), port = std::to_string(free_port());
    std::vector<std::unique_ptr<Background>> all;
    for (int rank = 0; rank < ranks; ++rank) {
      all.push_back(std::make_unique<Background>(
          eval_run(out, {"--json"}), std::map<std::string, std::string>{{"RANK", std::to_string(rank)},
                                                                        {"WORLD_SIZE", std::to_string(ranks)},
                                                                        {"MASTER_ADDR", "127.0.0.1"},
                                                                        {"MASTER_PORT", port}}));
    }
    std::string said;
    for (const auto& process : all) {
      const CommandResult result = process->wait();
      ASSERT_EQ(result.exit_code, 0) << result.err;
      if (process == all.front()) said = result.out;
    }
    const json together = json::parse(said).at("benchmarks").at(0);
    for (const char* count : {"asked", "prompt_tokens", "answer_tokens"})
      EXPECT_EQ(together.at(count), alone.at(count));
    EXPECT_EQ(answers_of(out), answers_of("alone"));
    EXPECT_EQ(std::distance(fs::directory_iterator(fs::path(file(out)) / "pope"), fs::directory_iterator()), 1);
  }
}

TEST_F(EvalRun, AKilledRunGoesOnAndAsksNothingTwice) {
  ask("whole");
  const fs::path log = fs::path(file("killed")) / "pope" / "answers.jsonl";
  const auto lines = [&] {
    if (!fs::exists(log)) return std::ptrdiff_t{0};
    const std::string text = read_file(log);
    return std::count(text.begin(), text.end(), '\n');
  };
  for (const std::ptrdiff_t enough : {0, 3, 4, 11, 30}) {
    Background running(eval_run("killed", {"--answers-at-once", "2"}));
    running.wait_until([&] { return lines() > enough; });
    running.send(SIGKILL);
    running.wait();
    ASSERT_GT(lines(), enough);
    // A line that the kill cut is no answer.
    std::ofstream(log, std::ios::app) << R"({"question_id": "4)";
  }
  const json result = json::parse(ask("killed", {"--json"}).out).at("benchmarks").at(0);
  EXPECT_EQ(answers_of("killed"), answers_of("whole"));
  EXPECT_GT(result.at("earlier"), 30);
  EXPECT_EQ(result.at("earlier").get<int>() + result.at("asked").get<int>(), 42);
  EXPECT_EQ(json::parse(ask("killed", {"--json"}).out).at("benchmarks").at(0).at("asked"), 0);
}

TEST_F(EvalRun, WhatAKilledRankHadAnsweredIsKept) {
  ask("plain");
  ask("joined", {"--limit", "5"});
  const fs::path other = fs::path(file("joined")) / "pope" / ".rank-1";
  fs::create_directories(other);
  const auto all = answers_of("plain");
  // One that rank 0 has, too, as after a kill in the middle of joining.
  for (const char* id : {"adversarial/30", "popular/20", "random/1"})
    std::ofstream(other / "answers.jsonl", std::ios::app) << all.at(id).dump() << '\n';
  const json result = json::parse(ask("joined", {"--json"}).out).at("benchmarks").at(0);
  EXPECT_EQ(result.at("earlier"), 7);
  EXPECT_EQ(answers_of("joined"), all);
  EXPECT_FALSE(fs::exists(other));
}

TEST_F(EvalRun, AFolderOfAnotherRunIsRefusedAndStays) {
  ask("kept", {"--limit", "4"});
  const auto before = answers_of("kept");
  const std::string record = read_file(fs::path(file("kept")) / "run.json");
  expect_refused(replaced(eval_run("kept"), "--model", file("other")), "another weights");
  expect_refused(replaced(eval_run("kept"), "--protocol", "vlmevalkit"), "another asking");
  expect_refused(eval_run("kept", {"--without-pictures"}), "another without_pictures");
  expect_refused(eval_run("kept", {"--context", "200"}), "another context");
  EXPECT_EQ(answers_of("kept"), before);
  EXPECT_EQ(read_file(fs::path(file("kept")) / "run.json"), record);
  fs::create_directories(file("mine"));
  std::ofstream(fs::path(file("mine")) / "notes.txt") << "mine";
  expect_refused(eval_run("mine"), "is not empty");
  EXPECT_EQ(read_file(fs::path(file("mine")) / "notes.txt"), "mine");
}

TEST_F(EvalRun, ProtocolsThatAskAlikeShareTheirAnswers) {
  ask("shared");
  const auto run = replaced(eval_run("shared", {"--json"}), "--protocol", "llava");
  const CommandResult result = run_command(run);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("benchmarks").at(0).at("asked"), 0);
}

TEST_F(EvalRun, QuestionsThatChangedAreAnotherRun) {
  fs::copy(file("pope"), file("edited"), fs::copy_options::recursive);
  const auto run = replaced(eval_run("edits"), "--data", file("edited"));
  ASSERT_EQ(run_command(run).exit_code, 0);
  const fs::path questions = fs::path(file("edited")) / "coco_pope_random.json";
  std::string text = read_file(questions);
  text.replace(text.find("lamp"), 4, "tree");
  std::ofstream(questions) << text;
  expect_refused(run, "another questions");
}

TEST_F(EvalRun, MissingPicturesAreCountedBeforeAnythingIsAsked) {
  fs::copy(file("pope"), file("gaps"), fs::copy_options::recursive);
  fs::remove(fs::path(file("gaps")) / "val2014" / picture(2));
  const auto run = replaced(eval_run("gap"), "--data", file("gaps"));
  expect_refused(run, "1 of 4 pictures cannot be read");
  std::vector<std::string> skipping = run;
  skipping.insert(skipping.end(), {"--on-bad-sample", "skip", "--json"});
  const CommandResult result = run_command(skipping);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("benchmarks").at(0).at("bad"), 9);
  EXPECT_EQ(answers_of("gap").size(), 33U);
  EXPECT_THAT(read_file(fs::path(file("gap")) / "pope" / "bad_questions.jsonl"), HasSubstr("no such file"));
}

TEST_F(EvalRun, MalformedRowsAreNamedCountedAndLeftOut) {
  fs::copy(file("pope"), file("torn"), fs::copy_options::recursive);
  const fs::path questions = fs::path(file("torn")) / "coco_pope_random.json";
  std::vector<std::string> lines = split(read_file(questions), '\n');
  lines.at(2).resize(20);
  lines.at(4) = json{{"question_id", 5}, {"image", picture(0)}, {"text", "Is there a dog?"}}.dump();
  std::ofstream(questions) << join(lines, "\n");
  const auto run = replaced(eval_run("kept_rows"), "--data", file("torn"));
  expect_refused(run, "coco_pope_random.json:3:");
  EXPECT_THAT(run_command(run).err, HasSubstr("--on-bad-sample skip"));
  EXPECT_FALSE(fs::exists(file("kept_rows")));
  const auto with = [](std::vector<std::string> arguments, const std::vector<std::string>& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_command(arguments);
  };
  const CommandResult shown = with(run, {"--on-bad-sample", "skip"});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("2 malformed rows were left out"));
  EXPECT_THAT(shown.out, HasSubstr("coco_pope_random.json:3"));
  EXPECT_EQ(answers_of("kept_rows").size(), 40U);
  const fs::path out = file("kept_rows");
  EXPECT_EQ(json::parse(read_file(out / "run.json")).at("benchmarks").at(0).at("bad_rows"), 2);
  const std::vector<std::string> named = split(read_file(out / "pope" / "bad_rows.jsonl"), '\n');
  EXPECT_THAT(json::parse(named.at(0)).at("row").get<std::string>(), testing::EndsWith("coco_pope_random.json:3"));
  EXPECT_THAT(json::parse(named.at(1)).at("reason").get<std::string>(), HasSubstr(":5: there is no \"label\""));
  // The same folder goes on, and is scored alike later.
  const CommandResult again = with(run, {"--on-bad-sample", "skip", "--json"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(json::parse(again.out).at("benchmarks").at(0).at("bad_rows"), 2);
  EXPECT_EQ(json::parse(again.out).at("benchmarks").at(0).at("asked"), 0);
  const std::vector<std::string> score = {STRIATE_PROGRAM,   "eval",        "score",    "--answers",
                                          file("kept_rows"), "--benchmark", "pope",     "--data",
                                          file("torn"),      "--protocol",  "lmms-eval"};
  expect_refused(score, "coco_pope_random.json:3:");
  const CommandResult scored = with(score, {"--on-bad-sample", "skip"});
  EXPECT_EQ(scored.exit_code, 0) << scored.err;
  EXPECT_THAT(scored.out, HasSubstr("40 of 40"));
  EXPECT_THAT(scored.out, HasSubstr("2 malformed rows were left out"));
}

TEST_F(EvalRun, PicturesOutsideTheirFolderAreRefused) {
  for (const std::string& name : {std::string("../pope/val2014/") + picture(0), file("pope/val2014/") + picture(0)}) {
    const fs::path folder = file("outside");
    fs::remove_all(folder);
    fs::create_directories(folder);
    const json row = {{"question_id", 1}, {"image", name}, {"text", "Is there a dog?"}, {"label", "no"}};
    for (const char* split : {"random", "popular", "adversarial"}) {
      std::ofstream(folder / cat("coco_pope_", split, ".json")) << row.dump() << '\n' << row.dump() << '\n';
    }
    expect_refused(replaced(eval_run("out-of-it"), "--data", folder.string()), "cannot be read");
    std::vector<std::string> skipping = replaced(eval_run("out-of-it"), "--data", folder.string());
    skipping.insert(skipping.end(), {"--on-bad-sample", "skip"});
    ASSERT_EQ(run_command(skipping).exit_code, 0);
    EXPECT_TRUE(answers_of("out-of-it").empty());
    fs::remove_all(file("out-of-it"));
  }
}

TEST_F(EvalRun, WithoutPicturesTheSameWordsAreAskedAndTheRecordSaysSo) {
  ask("blind", {"--without-pictures"});
  const auto blind = answers_of("blind");
  EXPECT_EQ(blind.at("random/1").at("prompt"),
            "Is there a dog number 0 in the image?\nAnswer the question using a single word or phrase.");
  EXPECT_FALSE(blind.at("random/1").contains("pictures"));
  const json record = json::parse(read_file(fs::path(file("blind")) / "run.json"));
  EXPECT_EQ(record.at("benchmarks").at(0).at("without_pictures"), true);
  ask("seeing");
  const CommandResult compared =
      run_command({STRIATE_PROGRAM, "eval", "compare", file("seeing"), file("blind"), "--draws", "50"});
  EXPECT_EQ(compared.exit_code, 0) << compared.err;
  EXPECT_THAT(compared.out, HasSubstr("without pictures"));
}

TEST_F(EvalRun, ARunWritesItsPageAndItsAnswersAreScoredAlikeLater) {
  const json result = json::parse(ask("scored", {"--json"}).out).at("benchmarks").at(0);
  EXPECT_THAT(read_file(fs::path(file("scored")) / "report.html"), HasSubstr("</html>"));
  const CommandResult again = run_command({STRIATE_PROGRAM, "eval", "score", "--answers", file("scored"), "--benchmark",
                                           "pope", "--data", file("pope"), "--protocol", "lmms-eval", "--json"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(json::parse(again.out).at("scores").at(0), result.at("scores").at(0));
}

TEST_F(EvalRun, ALimitedRunIsScoredOnWhatItAsked) {
  const json result = json::parse(ask("limited", {"--limit", "5", "--json"}).out).at("benchmarks").at(0);
  EXPECT_EQ(answers_of("limited").size(), 5U);
  EXPECT_EQ(result.at("scores").at(0).at("answered"), 5);
  EXPECT_EQ(result.at("scores").at(0).at("questions"), 5);
  // Where a comparison finds it.
  const json record = json::parse(read_file(fs::path(file("limited")) / "run.json"));
  EXPECT_EQ(record.at("benchmarks").at(0).at("limit"), 5);
}

TEST_F(EvalRun, ALimitAsksTheRotationsOfAQuestionWithIt) {
  const std::string picture_cell = base64_of(read_file(fs::path(file("pope")) / "val2014" / picture(0)));
  fs::create_directories(file("mmbench"));
  std::ofstream(fs::path(file("mmbench")) / "MMBench_DEV_EN.tsv")
      << "index\tquestion\tA\tB\tanswer\tcategory\timage\n7\tWhich?\tcat\tdog\tA\tobject\t" << picture_cell
      << "\n8\tWho?\tcat\tdog\tB\tobject\t7\n1000007\tWhich?\tdog\tcat\tB\tobject\t7\n"
      << "1000008\tWho?\tdog\tcat\tA\tobject\t7\n";
  std::vector<std::string> run = replaced(eval_run("rotated", {"--limit", "1", "--json"}), "--benchmark", "mmbench");
  run = replaced(replaced(run, "--data", file("mmbench")), "--protocol", "paper");
  const CommandResult result = run_command(run);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::set<std::string> asked;
  for (const auto& [id, answer] : answers_of("rotated", "mmbench")) asked.insert(id);
  EXPECT_EQ(asked, (std::set<std::string>{"1000007", "7"}));
  EXPECT_EQ(json::parse(result.out).at("benchmarks").at(0).at("scores").at(0).at("questions"), 2);
}

TEST_F(EvalRun, QuestionsOfOnesOwnAreScoredByTheRuleAskedForAndByTheCommonOnes) {
  const json turns = {{{"from", "human"}, {"value", "Where?"}}, {{"from", "gpt"}, {"value", "here"}}};
  std::ofstream(file("own.json")) << json::array({{{"id", "1"}, {"conversations", turns}}});
  std::vector<std::string> run = replaced(eval_run("own"), "--benchmark", "llava-json");
  run = replaced(replaced(run, "--data", file("own.json")), "--protocol", "iou");
  run.insert(run.end(), "--json");
  const CommandResult result = run_command(run);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  std::vector<std::string> rules;
  const json scores = json::parse(result.out).at("benchmarks").at(0).at("scores");
  for (const json& score : scores) rules.push_back(score.at("protocol"));
  EXPECT_EQ(rules, (std::vector<std::string>{"iou", "exact", "vqa", "contains", "anls"}));
}

TEST_F(EvalRun, QuestionsWithSeveralPicturesAreAskedAsTheProtocolShowsThem) {
  fs::create_directories(file("mmmu"));
  for (const std::size_t number : {std::size_t{0}, std::size_t{1}}) {
    fs::copy_file(file(cat("pope/val2014/", picture(number))), file(cat("mmmu/", picture(number))));
  }
  const json question = {{"id", "validation_Art_1"},
                         {"question", "Is <image 1> like <image 2>?"},
                         {"options", {"yes", "no"}},
                         {"question_type", "multiple-choice"},
                         {"answer", "A"},
                         {"image_1", picture(0)},
                         {"image_2", picture(1)}};
  std::ofstream(fs::path(file("mmmu")) / "validation.jsonl") << question.dump() << '\n';
  const auto pictures_shown = [](const std::string& protocol) -> json {
    const std::string out = cat("mmmu-", protocol);
    std::vector<std::string> run = replaced(eval_run(out), "--benchmark", "mmmu");
    run = replaced(replaced(run, "--data", file("mmmu")), "--protocol", protocol);
    const CommandResult result = run_command(run);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? answers_of(out, "mmmu").at("validation_Art_1").at("pictures") : json();
  };
  EXPECT_EQ(pictures_shown("llava"), json::array({picture(0)}));
  EXPECT_EQ(pictures_shown("lmms-eval"), json::array({picture(0), picture(1)}));
  // The page of a run shows what the model saw.
  const std::string one = read_file(fs::path(file("mmmu-llava")) / "report.html");
  EXPECT_THAT(one, HasSubstr(picture(0)));
  EXPECT_THAT(one, Not(HasSubstr(picture(1))));
  EXPECT_THAT(read_file(fs::path(file("mmmu-lmms-eval")) / "report.html"), HasSubstr(picture(1)));
}

TEST_F(EvalRun, LettersAreScoredByTheirLogProbabilityAfterOnePrompt) {
  fs::create_directories(file("mmlu/test"));
  std::ofstream test(fs::path(file("mmlu/test")) / "anatomy_test.csv");
  for (int i = 0; i < 7; ++i)
    test << "What is " << i << " and one?,three,\"four, or so\",five,six,"
         << "ABCD"[i % 4] << '\n';
  test.close();
  std::vector<std::string> run = replaced(eval_run("letters"), "--benchmark", "mmlu");
  run = replaced(replaced(run, "--data", file("mmlu")), "--protocol", "lm-eval");
  run.insert(run.end(), "--json");
  const CommandResult result = run_command(run);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto all = answers_of("letters", "mmlu");
  ASSERT_EQ(all.size(), 7U);
  for (const auto& [id, answer] : all) {
    const std::vector<double> choices = answer.at("choices");
    ASSERT_EQ(choices.size(), 4U) << id;
    const auto best = std::max_element(choices.begin(), choices.end()) - choices.begin();
    EXPECT_EQ(answer.at("text"), std::string(1, static_cast<char>('A' + best))) << id;
    for (const double choice : choices) EXPECT_LT(choice, 0) << id;
    // No template stands around the prompt, and nothing before it.
    EXPECT_THAT(answer.at("prompt").get<std::string>(), HasSubstr("\nAnswer:"));
  }
  EXPECT_GT(json::parse(result.out).at("benchmarks").at(0).at("reused_tokens"), 0);
}

TEST_F(EvalRun, ATextLongerThanTheContextIsMeasuredInWindows) {
  fs::create_directories(file("texts"));
  std::string text;
  for (int i = 0; i < 300; ++i) text += cat("line ", i, " of a text. ");
  std::ofstream(fs::path(file("texts")) / "long.txt") << text;
  std::ofstream(fs::path(file("texts")) / "short.txt") << "A short one.";
  std::vector<std::string> run = replaced(eval_run("measured"), "--benchmark", "perplexity");
  run = replaced(replaced(run, "--data", file("texts")), "--protocol", "lm-eval");
  run.insert(run.end(), {"--context", "100"});
  ASSERT_EQ(run_command(run).exit_code, 0);
  const auto all = answers_of("measured", "perplexity");
  const double tokens = all.at("long.txt").at("tokens");
  EXPECT_GT(tokens, 500);
  // A random model: about log(vocabulary) nats a token.
  EXPECT_NEAR(all.at("long.txt").at("choices").at(0).get<double>() / tokens, -7, 4);
}

TEST_F(EvalRun, AModelWithoutAVisionTowerIsToldBeforeItIsLoaded) {
  ASSERT_EQ(
      run_command({STRIATE_PROGRAM, "init", "--arch", "llama-2-7b", "--size", "tiny", "--out", file("blindmodel")})
          .exit_code,
      0);
  expect_refused(replaced(eval_run("no-tower"), "--model", file("blindmodel")), "has no vision tower");
}

TEST_F(EvalRun, NamesThatThereAreNotGetTheNearest) {
  expect_refused(replaced(eval_run("x"), "--benchmark", "pop"), "pop");
  expect_refused(replaced(eval_run("x"), "--protocol", "lava"), "lava");
  expect_refused(replaced(eval_run("x"), "--data", file("nowhere")), "nowhere");
  EXPECT_FALSE(fs::exists(file("x")));
}

}  // namespace
}  // namespace striate::test

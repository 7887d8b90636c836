// striate predict from outside.
#include <gmock/gmock.h>

#include "striate/base/process_lock.h"
#include "tests/cli/eval_world.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class Predict : public EvalWorld {
 protected:
  static std::vector<json> rows() {
    return {{{"id", "a"}, {"prompt", "What is this?"}, {"image", picture(0)}},
            {{"id", "b"}, {"prompt", "Say a word."}},
            {{"prompt", "Compare <image> with <image>."}, {"images", {picture(1), picture(2)}}},
            {{"id", "d"}, {"question", "What is that?"}, {"image", picture(0)}}};
  }
  static void write(const std::string& name, const std::vector<json>& rows) {
    std::ofstream out(file(name));
    for (const json& row : rows) out << row.dump() << '\n';
  }
  static CommandResult predict(const std::string& prompts, const std::string& out,
                               const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {STRIATE_PROGRAM, "predict",     "--model",     file("model"),
                                    "--prompts",     file(prompts), "--precision", "fp32",
                                    "--threads",     "1",           "--out",       file(out),
                                    "--max-tokens",  "9",           "--images",    file("pope/val2014")};
    all.insert(all.end(), more.begin(), more.end());
    return run_command(all);
  }
  static void expect_refused(const CommandResult& result, const std::string& words) {
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_THAT(result.err, HasSubstr("hint: "));
  }
};

TEST_F(Predict, AnswersEqualThoseOfChat) {
  write("rows.jsonl", rows());
  const CommandResult made = predict("rows.jsonl", "answers.jsonl");
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto all = answers(file("answers.jsonl"));
  ASSERT_EQ(all.size(), 4U);
  const auto chat = [](const std::string& prompt, const std::vector<std::string>& pictures) {
    std::vector<std::string> arguments = {STRIATE_PROGRAM, "chat",        "--model", file("model"),  "--prompt", prompt,
                                          "--json",        "--precision", "fp32",    "--max-tokens", "9"};
    for (const std::string& name : pictures) {
      arguments.insert(arguments.end(), {"--image", file("pope/val2014/" + name)});
    }
    const CommandResult result = run_command(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return json::parse(result.out).at("text");
  };
  EXPECT_EQ(all.at("a").at("text"), chat("What is this?", {picture(0)}));
  EXPECT_EQ(all.at("b").at("text"), chat("Say a word.", {}));
  EXPECT_EQ(all.at("2").at("text"), chat("Compare <image> with <image>.", {picture(1), picture(2)}));
  EXPECT_EQ(all.at("d").at("text"), chat("What is that?", {picture(0)}));
  EXPECT_EQ(all.at("a").at("prompt"), "<image>\nWhat is this?");
}

TEST_F(Predict, AnInterruptedFileIsContinued) {
  write("more.jsonl", rows());
  ASSERT_EQ(predict("more.jsonl", "whole.jsonl").exit_code, 0);
  const std::string text = read_file(file("whole.jsonl"));
  std::ofstream(file("cut.jsonl")) << text.substr(0, text.find('\n') + 20);
  const CommandResult result = predict("more.jsonl", "cut.jsonl", {"--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(json::parse(result.out).at("earlier"), 1);
  EXPECT_EQ(json::parse(result.out).at("answered"), 3);
  EXPECT_EQ(answers(file("cut.jsonl")), answers(file("whole.jsonl")));
}

TEST_F(Predict, AFileWithAnswersToOtherPromptsIsRefusedAndStays) {
  write("first.jsonl", rows());
  ASSERT_EQ(predict("first.jsonl", "mine.jsonl").exit_code, 0);
  const std::string before = read_file(file("mine.jsonl"));
  std::vector<json> others = rows();
  others[1]["prompt"] = "Say another word.";
  write("second.jsonl", others);
  expect_refused(predict("second.jsonl", "mine.jsonl"), "an answer to another prompt");
  EXPECT_EQ(read_file(file("mine.jsonl")), before);
  std::ofstream(file("notes.jsonl")) << "{\"note\": 1}\n";
  expect_refused(predict("second.jsonl", "notes.jsonl"), "notes.jsonl:1");
  EXPECT_EQ(read_file(file("notes.jsonl")), "{\"note\": 1}\n");
  // Nor is a last line cut off that is no answer of ours.
  for (const std::string& theirs : {std::string("[\n {\n  \"a\": 1\n }\n]"), std::string("a line without an end")}) {
    std::ofstream(file("theirs.json")) << theirs;
    expect_refused(predict("second.jsonl", "theirs.json"), "theirs.json");
    EXPECT_EQ(read_file(file("theirs.json")), theirs);
  }
}

TEST_F(Predict, AFileThatAnotherProcessAddsToIsRefused) {
  write("both.jsonl", {rows()[1]});
  {
    const FileLock other(file("busy.jsonl"));
    expect_refused(predict("both.jsonl", "busy.jsonl"), "busy.jsonl: another striate, process");
    EXPECT_FALSE(fs::exists(file("busy.jsonl")));
    EXPECT_EQ(predict("both.jsonl", "free.jsonl").exit_code, 0);  // in the same folder
  }
  EXPECT_EQ(predict("both.jsonl", "busy.jsonl").exit_code, 0);
  EXPECT_FALSE(fs::exists(file(".busy.jsonl.striate.lock")));
}

TEST_F(Predict, RowsThatCannotBeAskedAreNamed) {
  write("twice.jsonl", {{{"id", "a"}, {"prompt", "x"}}, {{"id", "a"}, {"prompt", "y"}}});
  expect_refused(predict("twice.jsonl", "t.jsonl"), "twice.jsonl:2: the id 'a' was given before");
  write("empty.jsonl", {{{"id", "a"}, {"image", picture(0)}}});
  expect_refused(predict("empty.jsonl", "t.jsonl"), "empty.jsonl:1: there is no \"prompt\"");
  const CommandResult left_out = predict("twice.jsonl", "left.jsonl", {"--on-bad-sample", "skip", "--json"});
  EXPECT_EQ(left_out.exit_code, 0) << left_out.err;
  EXPECT_EQ(json::parse(left_out.out).at("bad_rows"), 1);
  EXPECT_THAT(left_out.err, HasSubstr("twice.jsonl:2: the id 'a' was given before"));
  EXPECT_EQ(answers(file("left.jsonl")).size(), 1U);
  write("gone.jsonl", {rows()[0], {{"id", "z"}, {"prompt", "What?"}, {"image", "gone.jpg"}}});
  expect_refused(predict("gone.jsonl", "t.jsonl"), "gone.jpg");
  const CommandResult skipped = predict("gone.jsonl", "s.jsonl", {"--on-bad-sample", "skip"});
  EXPECT_EQ(skipped.exit_code, 0) << skipped.err;
  EXPECT_THAT(skipped.err, HasSubstr("gone.jpg"));
  EXPECT_EQ(answers(file("s.jsonl")).size(), 1U);
}

TEST_F(Predict, SampledAnswersDoNotDependOnTheirNeighbours) {
  write("drawn.jsonl", rows());
  const std::vector<std::string> sampling = {"--temperature", "1.5", "--seed", "3"};
  ASSERT_EQ(predict("drawn.jsonl", "drawn_all.jsonl", sampling).exit_code, 0);
  write("one.jsonl", {rows()[3]});
  ASSERT_EQ(predict("one.jsonl", "drawn_one.jsonl", sampling).exit_code, 0);
  EXPECT_EQ(answers(file("drawn_one.jsonl")).at("d"), answers(file("drawn_all.jsonl")).at("d"));
}

}  // namespace
}  // namespace striate::test

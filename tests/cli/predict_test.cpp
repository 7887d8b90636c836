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
  static json chat(const std::string& prompt, const std::vector<std::string>& pictures,
                   const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {STRIATE_PROGRAM, "chat",        "--model", file("model"),  "--prompt", prompt,
                                          "--json",        "--precision", "fp32",    "--max-tokens", "9"};
    for (const std::string& name : pictures) {
      arguments.insert(arguments.end(), {"--image", file("pope/val2014/" + name)});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult result = run_command(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.exit_code == 0 ? json::parse(result.out) : json::object();
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
  EXPECT_EQ(all.at("a").at("text"), chat("What is this?", {picture(0)})["text"]);
  EXPECT_EQ(all.at("b").at("text"), chat("Say a word.", {})["text"]);
  EXPECT_EQ(all.at("2").at("text"), chat("Compare <image> with <image>.", {picture(1), picture(2)})["text"]);
  EXPECT_EQ(all.at("d").at("text"), chat("What is that?", {picture(0)})["text"]);
  EXPECT_EQ(all.at("a").at("prompt"), "<image>\nWhat is this?");
}

TEST_F(Predict, RawPromptsAreReadAsChatReadsThemWithTheirPictures) {
  write("raw.jsonl", {rows()[1], rows()[2]});
  const CommandResult made = predict("raw.jsonl", "raw_answers.jsonl", {"--raw", "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto all = answers(file("raw_answers.jsonl"));
  ASSERT_EQ(all.size(), 2U);
  const json word = chat("Say a word.", {}, {"--raw"});
  const json compared = chat("Compare <image> with <image>.", {picture(1), picture(2)}, {"--raw"});
  EXPECT_EQ(all.at("b").at("text"), word.value("text", "none"));
  EXPECT_EQ(all.at("1").at("text"), compared.value("text", "none"));
  EXPECT_EQ(all.at("1").at("prompt"), "Compare <image> with <image>.");
  const std::int64_t tokens =
      word.value("prompt_tokens", std::int64_t{0}) + compared.value("prompt_tokens", std::int64_t{0});
  EXPECT_EQ(json::parse(made.out).at("prompt_tokens"), tokens);
}

TEST_F(Predict, ARawPromptIsNeverCut) {
  const std::string prompt = "Once there was a lamp in a room with a table and two chairs";
  write("long.jsonl", {json{{"id", "long"}, {"prompt", prompt}}});
  const std::int64_t length = chat(prompt, {}, {"--raw"}).value("prompt_tokens", std::int64_t{0});
  ASSERT_GT(length, 12);
  // There is room for three of the nine tokens of an answer.
  const std::string barely = std::to_string(length + 2);
  const CommandResult made = predict("long.jsonl", "long_answers.jsonl", {"--raw", "--context", barely, "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_EQ(json::parse(made.out).at("prompt_tokens"), length);
  EXPECT_EQ(answers(file("long_answers.jsonl")).at("long").at("text"),
            chat(prompt, {}, {"--raw", "--context", barely})["text"]);
  expect_refused(predict("long.jsonl", "cut_answers.jsonl", {"--raw", "--context", std::to_string(length - 1)}),
                 "prompt long: the prompt has");
}

TEST_F(Predict, ThePlainTemplateTakesPicturesAsInChat) {
  write("plain.jsonl", {rows()[0], rows()[1]});
  const std::vector<std::string> plain = {"--template", "plain"};
  const CommandResult made = predict("plain.jsonl", "plain_answers.jsonl", plain);
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const json answer = answers(file("plain_answers.jsonl")).at("a");
  EXPECT_EQ(answer.at("prompt"), "<image>What is this?");
  const std::string text = chat("What is this?", {picture(0)}, plain).value("text", "");
  EXPECT_EQ(answer.at("text"), std::string(trim(text)));
}

TEST_F(Predict, AMarkWithoutItsPictureIsNotAskedWithoutIt) {
  write("marks.jsonl", {rows()[1], {{"id", "m"}, {"prompt", "What is in <image>?"}, {"img", picture(0)}}});
  expect_refused(predict("marks.jsonl", "m.jsonl"), "marks.jsonl:2: the prompt has 1 <image>, and the row names 0 pic");
  EXPECT_FALSE(fs::exists(file("m.jsonl")));
  const CommandResult left_out = predict("marks.jsonl", "one_left.jsonl", {"--on-bad-sample", "skip", "--json"});
  EXPECT_EQ(left_out.exit_code, 0) << left_out.err;
  EXPECT_EQ(json::parse(left_out.out).at("bad_rows"), 1);
  EXPECT_EQ(answers(file("one_left.jsonl")).size(), 1U);
  write("no_marks.jsonl", {rows()[1], rows()[0]});
  expect_refused(predict("no_marks.jsonl", "m.jsonl", {"--raw"}),
                 "no_marks.jsonl:2: the prompt has 0 <image>, and the row names 1 picture");
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

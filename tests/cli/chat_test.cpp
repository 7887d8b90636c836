// striate chat from outside, on a tiny model of random weights with the demo's tokenizer and photo.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/background.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ChatCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const CommandResult made = run_command({STRIATE_PROGRAM,   "init", "--arch",          "llava-1.5-7b",
                                            "--layers",        "2",    "--hidden",        "64",
                                            "--heads",         "4",    "--kv-heads",      "2",
                                            "--mlp",           "96",   "--max-positions", "256",
                                            "--vision-layers", "2",    "--vision-hidden", "32",
                                            "--vision-heads",  "2",    "--vision-mlp",    "48",
                                            "--image-size",    "56",   "--tokenizer",     tokenizer(),
                                            "--dtype",         "fp32", "--seed",          "3",
                                            "--out",           model()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string source(const std::string& name) { return (std::filesystem::path(STRIATE_SOURCE) / name).string(); }
  static std::string tokenizer() { return source("demo/tokenizer.model"); }
  static std::string photo() { return source("demo/coffee.jpg"); }
  static std::string file(const std::string& name) { return (folder_->path() / name).string(); }
  static std::string model() { return file("model"); }

  static CommandResult chat(std::vector<std::string> arguments, const std::string& input = {}) {
    arguments.insert(arguments.begin(), {STRIATE_PROGRAM, "chat", "--model", model(), "--precision", "fp32"});
    return run_command(arguments, input);
  }
  static nlohmann::json ask(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--json", "--max-tokens", "6"});
    const CommandResult result = chat(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }
  static void expect_refusal(const CommandResult& result, const std::string& what) {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("error: "), HasSubstr(what), HasSubstr("\nhint: ")));
    EXPECT_EQ(result.out, "");
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};

std::unique_ptr<TemporaryFolder> ChatCommand::folder_;

TEST_F(ChatCommand, JsonHoldsPromptIdsAnswerAndRates) {
  const nlohmann::json answer = ask({"--image", photo(), "--prompt", "What is this?"});
  const auto ids = answer["prompt_ids"].get<std::vector<std::int64_t>>();
  EXPECT_EQ(std::count(ids.begin(), ids.end(), -200), 1);
  EXPECT_EQ(answer["prompt_tokens"].get<std::size_t>(), ids.size() - 1 + 16);  // 56 / 14 = 4 patches a side
  EXPECT_LE(answer["ids"].size(), 6U);
  EXPECT_GT(answer["prompt_tokens_per_s"].get<double>(), 0.0);
  EXPECT_GT(answer["decode_tokens_per_s"].get<double>(), 0.0);
}

TEST_F(ChatCommand, GreedyAnswersRepeatAndDependOnThePicture) {
  write_file(file("black.bmp"), [] {
    std::string bmp = "BM";
    const auto put = [&](std::uint32_t value, int bytes) {
      for (int i = 0; i < bytes; ++i) bmp += static_cast<char>(value >> (8 * i));
    };
    put(54 + 12, 4), put(0, 4), put(54, 4), put(40, 4), put(1, 4), put(3, 4), put(1, 2), put(24, 2);
    for (int i = 0; i < 6; ++i) put(0, 4);
    return bmp + std::string(12, '\0');
  }());
  const auto logits_of = [&](const std::string& picture) {
    const std::string out = file("logits.safetensors");
    ask({"--image", picture, "--prompt", "What is this?", "--logits", out});
    return read_file(out);
  };
  EXPECT_EQ(logits_of(photo()), logits_of(photo()));
  EXPECT_NE(logits_of(photo()), logits_of(file("black.bmp")));
}

TEST_F(ChatCommand, RawTakesThePromptAsItIs) {
  const auto templated = ask({"--prompt", "Hello"})["prompt_ids"].get<std::vector<std::int64_t>>();
  const auto raw = ask({"--prompt", "Hello", "--raw"})["prompt_ids"].get<std::vector<std::int64_t>>();
  EXPECT_LT(raw.size(), templated.size());
  EXPECT_EQ(raw.front(), 1);  // BOS
}

TEST_F(ChatCommand, ConversationTakesImagesAndCommands) {
  const CommandResult result = chat(
      {"--max-tokens", "4"}, "/image " + photo() + "\nWhat is this?\nAnd now?\n/history\n/reset\n/history\n/quit\n");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("goes with the next question"), HasSubstr("you:   <image>\nWhat is this?"),
                                HasSubstr("you:   And now?"), HasSubstr("model: ")));
  EXPECT_THAT(result.err, HasSubstr("tokens/s"));
}

TEST_F(ChatCommand, AMistakeInAConversationLosesNothing) {
  const CommandResult result =
      chat({"--max-tokens", "2"}, "/image nowhere.jpg\n/nonsense\n<image> two <image>\nHello\n/history\n");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, AllOf(HasSubstr("nowhere.jpg"), HasSubstr("/nonsense is not a command"),
                                HasSubstr("2 <image> and 0 images")));
  EXPECT_THAT(result.out, AllOf(HasSubstr("you:   Hello"), testing::Not(HasSubstr("two"))));
}

TEST_F(ChatCommand, AfterARefusedQuestionCtrlCEndsTheProgramAsBefore) {
  const std::string questions = file("questions"), errors = file("errors");
  ASSERT_EQ(::mkfifo(questions.c_str(), 0600), 0);
  const int typing = ::open(questions.c_str(), O_RDWR | O_CLOEXEC);  // which waits for no reader
  ASSERT_GE(typing, 0);
  // Where tests run in the background, programs may begin with it ignored.
  const auto before = std::signal(SIGINT, SIG_DFL);
  Background program({"/bin/sh", "-c", cat("exec \"$0\" \"$@\" < '", questions, "' 2> '", errors, "'"), STRIATE_PROGRAM,
                      "chat", "--model", model(), "--precision", "fp32"});
  std::signal(SIGINT, before);
  const std::string question = "<image> two <image>\n";
  ASSERT_EQ(::write(typing, question.data(), question.size()), static_cast<ssize_t>(question.size()));
  program.wait_until([&] {
    return std::filesystem::exists(errors) && read_file(errors).find("2 <image> and 0 images") != std::string::npos;
  });
  program.send(SIGINT);
  ::close(typing);  // a program that goes on in spite of it ends here, with 0
  EXPECT_EQ(program.wait().exit_code, 128 + SIGINT);
}

TEST_F(ChatCommand, DrawsTokensThatTheTokenizerDoesNotKnowWithoutHarm) {
  // The model's vocabulary is padded beyond the tokenizer's; a hot enough draw meets the padding.
  const nlohmann::json answer = [&] {
    const CommandResult result = chat({"--prompt", "Hello", "--temperature", "100", "--max-tokens", "200", "--json"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return nlohmann::json::parse(result.out);
  }();
  const auto ids = answer["ids"].get<std::vector<std::int64_t>>();
  EXPECT_GT(*std::max_element(ids.begin(), ids.end()), 1501) << "no token of the padding was drawn";
}

TEST_F(ChatCommand, RefusesMoreImageMarksThanImagesAndTheReverse) {
  expect_refusal(chat({"--prompt", "<image> and <image>", "--image", photo()}), "2 <image> and 1 images");
  expect_refusal(chat({"--prompt", "<image>", "--image", photo(), "--image", photo()}), "1 <image> and 2 images");
  expect_refusal(chat({"--prompt", "no mark", "--raw", "--image", photo()}), "0 <image> and 1 images");
}

TEST_F(ChatCommand, RefusesAPromptLongerThanTheContext) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += "word ";
  expect_refusal(chat({"--prompt", text}), "the context has only 256");
}

TEST_F(ChatCommand, RefusesWhatIsNoPicture) {
  write_file(file("text.jpg"), "this is no picture at all");
  write_file(file("cut.jpg"), read_file(photo()).substr(0, 3000));
  expect_refusal(chat({"--prompt", "x", "--image", file("text.jpg")}), "text.jpg");
  expect_refusal(chat({"--prompt", "x", "--image", file("cut.jpg")}), "cut.jpg");
  expect_refusal(chat({"--prompt", "x", "--image", file("absent.jpg")}), "absent.jpg");
}

TEST_F(ChatCommand, RefusesAModelWithoutATokenizer) {
  const std::string copy = file("no-tokenizer");
  std::filesystem::copy(model(), copy);
  for (const char* name : {"tokenizer.model", "tokenizer.json"})
    std::filesystem::remove(std::filesystem::path(copy) / name);
  expect_refusal(run_command({STRIATE_PROGRAM, "chat", "--model", copy, "--prompt", "x", "--json"}), "tokenizer");
}

TEST_F(ChatCommand, RefusesADamagedModel) {
  const std::string copy = file("damaged");
  std::filesystem::copy(model(), copy);
  const std::filesystem::path weights = std::filesystem::path(copy) / "model.safetensors";
  std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 100);
  expect_refusal(run_command({STRIATE_PROGRAM, "chat", "--model", copy, "--prompt", "x", "--json"}),
                 "model.safetensors");
  write_file(std::filesystem::path(copy) / "config.json", "{\"model_type\": \"llava\",\n oops");
  expect_refusal(run_command({STRIATE_PROGRAM, "chat", "--model", copy, "--prompt", "x", "--json"}), "config.json:2");
  write_file(std::filesystem::path(copy) / "config.json", "{\"model_type\": \"gpt_bigcode\"}");
  expect_refusal(run_command({STRIATE_PROGRAM, "chat", "--model", copy, "--prompt", "x", "--json"}), "gpt_bigcode");
}

TEST_F(ChatCommand, RefusesFlagsThatMakeNoSense) {
  expect_refusal(chat({"--prompt", "x", "--temperature", "-1"}), "--temperature");
  expect_refusal(chat({"--prompt", "x", "--top-p", "0"}), "--top-p");
  expect_refusal(chat({"--prompt", "x", "--template", "vicuna"}), "vicuna");
  expect_refusal(chat({"--json"}), "--prompt");
  expect_refusal(run_command({STRIATE_PROGRAM, "chat", "--prompt", "x"}), "no model was given");
  expect_refusal(run_command({STRIATE_PROGRAM, "chat", "--llm", model(), "--prompt", "x"}), "--llm needs");
  expect_refusal(run_command({STRIATE_PROGRAM, "chat", "--model", "/no/such/folder", "--prompt", "x"}),
                 "/no/such/folder");
}

TEST_F(ChatCommand, AnAddressOrBase64InPlaceOfAPictureIsNamedAsSuch) {
  const CommandResult address = chat({"--prompt", "q", "--image", "https://example.org//a.jpg"});
  expect_refusal(address, "an address (URL) where a picture's file is expected: https://example.org//a.jpg");
  EXPECT_THAT(address.err, HasSubstr("download the picture"));
  const CommandResult data = chat({"--prompt", "q", "--image", cat("data:image/png;base64,", std::string(9000, 'A'))});
  expect_refusal(data, "base64 data (data:image/png;base64,");
  EXPECT_LT(data.err.size(), 1000U);
}

}  // namespace
}  // namespace striate::test

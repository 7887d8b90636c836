#include "striate/answers/answer_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::HasSubstr;

class AnswersFile : public testing::Test {
 protected:
  std::filesystem::path put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_.path() / name).parent_path());
    write_file(folder_.path() / name, text);
    return folder_.path() / name;
  }
  test::TemporaryFolder folder_;
};

TEST_F(AnswersFile, AnAnswerComesBackAsItWasWritten) {
  const Answer answer{.question = "n/1",
                      .prompt = "<image>\nwhat?",
                      .pictures = {"a.png"},
                      .text = "it's \"red\"\n你好",
                      .tokens = 5,
                      .stop = AnswerEnding::kLength,
                      .choices = {-1.5, -0.25},
                      .benchmark = "gqa",
                      .asking = "single-word-128"};
  const Answer again = read_answer(nlohmann::json::parse(answer_line(answer)), "here");
  EXPECT_EQ(answer_line(again), answer_line(answer));
  EXPECT_EQ(again.text, answer.text);
  EXPECT_EQ(again.stop, AnswerEnding::kLength);
  EXPECT_EQ(again.choices, answer.choices);
  EXPECT_EQ(again.pictures, answer.pictures);
}

TEST_F(AnswersFile, TheFormsOfOtherProgramsAreRead) {
  const std::pair<const char*, const char*> forms[] = {
      {"llava.jsonl", R"({"question_id": 7, "prompt": "p", "text": "red", "answer_id": "x", "metadata": {}})"},
      {"gqa.json", R"([{"questionId": "7", "prediction": "red"}])"},
      {"upload.json", R"([{"question_id": 7, "answer": "red"}])"},
      {"mmmu.json", R"({"7": "red"})"},
      {"vlmevalkit.csv", "index,question,prediction\n7,what?,red\n"},
      {"lmms.jsonl", R"({"doc_id": 0, "doc": {"question_id": "7"}, "target": "red", "resps": [["red"]]})"}};
  for (const auto& [name, text] : forms) {
    SCOPED_TRACE(name);
    const AnswerFile file = read_answers(put(name, text), "gqa");
    ASSERT_EQ(file.answers.size(), 1U);
    EXPECT_EQ(file.answers[0].question, "7");
    EXPECT_EQ(file.answers[0].text, "red");
  }
  const AnswerFile rows = read_answers(put("rows.jsonl", R"({"doc_id": 3, "resps": [["red"]]})"), "gqa");
  EXPECT_EQ(rows.answers.at(0).row, 3);
  put("mme/existence.txt", "0001.txt\tIs it?\tYes\tYes, it is\n");
  const AnswerFile mme = read_answers(folder_.path() / "mme", "mme");
  EXPECT_EQ(mme.answers.at(0).question, "existence/0001.txt");
  EXPECT_EQ(mme.answers.at(0).text, "Yes, it is");
}

TEST_F(AnswersFile, AFolderIsARun) {
  put("one/answers.jsonl", R"({"question_id": 1, "text": "a"})");
  put("two/gqa/answers.jsonl", R"({"question_id": 2, "text": "a"})");
  EXPECT_EQ(read_answers(folder_.path() / "one", "gqa").answers.at(0).question, "1");
  EXPECT_EQ(read_answers(folder_.path() / "two", "gqa").answers.at(0).question, "2");
  std::filesystem::create_directories(folder_.path() / "three");
  EXPECT_THROW(read_answers(folder_.path() / "three", "gqa"), Error);
}

TEST_F(AnswersFile, ALogGoesOnWhereAKilledProcessStopped) {
  const auto folder = folder_.path() / "run";
  std::filesystem::create_directories(folder);
  {
    AnswerLog log(folder);
    EXPECT_TRUE(log.earlier().empty());
    log.append({.question = "1", .text = "a"});
    log.append({.question = "2", .text = "b"});
  }
  const std::string whole = read_file(folder / "answers.jsonl");
  for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
    write_file(folder / "answers.jsonl", whole.substr(0, cut));
    std::size_t kept = 0;
    {
      AnswerLog log(folder);
      kept = log.earlier().size();
      for (std::size_t next = kept; next < 2; ++next) {
        log.append({.question = next == 0 ? "1" : "2", .text = next == 0 ? "a" : "b"});
      }
      log.sync();
    }
    EXPECT_EQ(read_file(folder / "answers.jsonl"), whole) << "cut at " << cut;
  }
}

TEST_F(AnswersFile, ALineThatIsWrongIsNamed) {
  const auto refusal = [&](const std::string& text) -> std::string {
    try {
      read_answers(put("a.jsonl", text), "gqa");
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      return error.what();
    }
    return "";
  };
  const std::string good = "{\"question_id\": 1, \"text\": \"a\"}\n";
  EXPECT_THAT(refusal(good + "nonsense\n" + good), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(refusal(good + "{\"text\": \"a\"}\n"), HasSubstr("a.jsonl:2: the answer does not say"));
  EXPECT_THAT(refusal(good + "{\"question_id\": 1}\n"), HasSubstr("a.jsonl:2: the answer has no text"));
  EXPECT_THAT(refusal(good + "{\"question_id\": {}, \"text\": \"a\"}\n"), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(refusal("nonsense"), HasSubstr("a.jsonl:1"));
  EXPECT_EQ(refusal(good + "{\"questi"), "");  // a killed run's last line
}

}  // namespace
}  // namespace striate

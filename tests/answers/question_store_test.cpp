// Questions that are kept in a file while they are asked.
#include "striate/answers/question_store.h"

#include <gtest/gtest.h>

#include "tests/answers/benchmark_folder.h"

namespace striate {
namespace {

Question full_question() {
  Question question;
  question.id = "a#2";
  question.publisher_id = "a";
  question.text = std::string("wörtlich\n\0 and more", 20);
  question.hint = "a hint";
  question.asked = "<image>\nWhat?";
  question.options = {"red", "", "None"};
  question.missing_options = "C";
  question.references = {"A"};
  question.pictures = {"x.jpg", "y/z.png"};
  question.box = Box{0.1, 0.2, 1.0 / 3, 1};
  question.width = 640;
  question.height = 480.5;
  question.kinds = {{"split", {"random", "popular"}}, {"words", {}}};
  question.group = "7";
  question.picture_id = "COCO_val2014_000000000042";
  return question;
}

void expect_same(const Question& a, const Question& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.publisher_id, b.publisher_id);
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.hint, b.hint);
  EXPECT_EQ(a.asked, b.asked);
  EXPECT_EQ(a.options, b.options);
  EXPECT_EQ(a.missing_options, b.missing_options);
  EXPECT_EQ(a.references, b.references);
  EXPECT_EQ(a.pictures, b.pictures);
  EXPECT_EQ(a.box, b.box);
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.kinds, b.kinds);
  EXPECT_EQ(a.group, b.group);
  EXPECT_EQ(a.picture_id, b.picture_id);
}

TEST(QuestionStore, EveryMemberComesBackInAnyOrder) {
  std::vector<Question> questions = {full_question(), Question{}};
  for (int i = 0; i < 2000; ++i) {  // more than one piece of the file
    questions.push_back(full_question());
    questions.back().id = std::to_string(i);
    questions.back().text = std::string(static_cast<std::size_t>(i % 97), 'x');
  }
  const QuestionStore store(questions);
  ASSERT_EQ(store.size(), questions.size());
  for (std::size_t i = questions.size(); i-- > 0;) expect_same(store.at(i), questions[i]);
  EXPECT_THROW(store.at(questions.size()), std::exception);
}

TEST(QuestionStore, ThereMayBeNone) {
  EXPECT_EQ(QuestionStore().size(), 0U);
  EXPECT_EQ(QuestionStore(std::vector<Question>()).size(), 0U);
}

}  // namespace
}  // namespace striate

#include "striate/data/record_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/strings.h"

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Record read(const std::string& json) {
  return read_record(json, "here");
}

std::string complaint(const std::string& json) {
  try {
    read(json);
  } catch (const BadSample& bad) {
    EXPECT_EQ(bad.reason(), BadReason::kBrokenRecord);
    EXPECT_FALSE(bad.hint().empty());
    return bad.what();
  }
  return "read";
}

std::vector<std::string> turns_of(const Record& record) {
  std::vector<std::string> turns;
  for (const Message& turn : record.turns) turns.push_back(cat(turn.from, ": ", turn.value));
  return turns;
}

TEST(RecordReader, TellsTheFormByTheFieldsNames) {
  const Record llava = read(R"({"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]})");
  EXPECT_THAT(turns_of(llava), ElementsAre("human: q", "gpt: a"));
  EXPECT_EQ(llava.form, "conversations with from and value");
  const Record openai =
      read(R"({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "name": "x"}]})");
  EXPECT_THAT(turns_of(openai), ElementsAre("user: q", "assistant: a"));
  EXPECT_EQ(openai.form, "messages with role and content");
  EXPECT_EQ(read(R"({"conversations": [{"role": "user", "content": "q"}]})").form,
            "conversations with role and content");
  EXPECT_EQ(read(R"({"messages": [{"from": "user", "value": "q"}]})").form, "messages with from and value");
}

TEST(RecordReader, ConversationsCountWhereThereAreMessagesToo) {
  EXPECT_THAT(turns_of(read(R"({"messages": [], "conversations": [{"from": "human", "value": "q"}]})")),
              ElementsAre("human: q"));
}

TEST(RecordReader, PicturesAreInImageOrInImages) {
  const auto images_of = [](const std::string& fields) {
    return read(cat("{", fields, R"(, "messages": []})")).images;
  };
  EXPECT_THAT(images_of(R"("image": "a.jpg")"), ElementsAre("a.jpg"));
  EXPECT_THAT(images_of(R"("images": "a.jpg")"), ElementsAre("a.jpg"));
  EXPECT_THAT(images_of(R"("images": ["a.jpg", "b.jpg"])"), ElementsAre("a.jpg", "b.jpg"));
  EXPECT_THAT(images_of(R"("image": "a.jpg", "images": ["a.jpg"])"), ElementsAre("a.jpg"));
  EXPECT_THAT(images_of(R"("image": NaN, "images": ["a.jpg"])"), ElementsAre("a.jpg"));
  EXPECT_THAT(complaint(R"({"image": "a.jpg", "images": ["b.jpg"], "messages": []})"), HasSubstr("different pictures"));
  EXPECT_THAT(complaint(R"({"images": [{"bytes": null, "path": "a.jpg"}], "messages": []})"),
              HasSubstr("\"images\"[0] is an object, not a string"));
}

TEST(RecordReader, PartsBecomeTextWithMarksInOrder) {
  const Record named = read(R"({"messages": [{"role": "user", "content": [
      {"type": "text", "text": "What is"}, {"type": "image_url", "image_url": {"url": "a.jpg", "detail": "low"}},
      {"type": "text", "text": "this?"}]}, {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
      {"role": "user", "content": [{"type": "image", "image": "b.jpg"}, "and this?"]}]})");
  EXPECT_THAT(turns_of(named),
              ElementsAre("user: What is\n<image>\nthis?", "assistant: A cat.", "user: <image>\nand this?"));
  EXPECT_THAT(named.images, ElementsAre("a.jpg", "b.jpg"));
  EXPECT_EQ(named.form, "messages with role and content, in parts");
  const Record unnamed = read(R"({"images": ["a.jpg"], "messages": [{"role": "user", "content": [
      {"type": "image", "text": null}, {"type": "text", "text": "q", "image": null}]}]})");
  EXPECT_THAT(turns_of(unnamed), ElementsAre("user: <image>\nq"));
  EXPECT_THAT(unnamed.images, ElementsAre("a.jpg"));
  const Record untyped = read(R"({"messages": [{"role": "user", "content": [{"image": "a.jpg"}, {"text": "q"}]}]})");
  EXPECT_THAT(turns_of(untyped), ElementsAre("user: <image>\nq"));
  EXPECT_THAT(untyped.images, ElementsAre("a.jpg"));
}

TEST(RecordReader, RefusesPartsThatItCannotMean) {
  const auto refusal = [](const std::string& parts, const std::string& fields = "") {
    return complaint(cat("{", fields, R"("messages": [{"role": "user", "content": [)", parts, "]}]}"));
  };
  EXPECT_THAT(refusal(R"({"type": "video", "video": "a.mp4"})"), HasSubstr("content[0] is of type 'video'"));
  EXPECT_THAT(refusal(R"({"type": "text"})"), HasSubstr("content[0] has no \"text\""));
  EXPECT_THAT(refusal("7"), HasSubstr("content[0] is 7, not an object"));
  EXPECT_THAT(refusal(R"({"type": "image", "image": {"bytes": "aGk="}})"), HasSubstr("an object without \"url\""));
  EXPECT_THAT(refusal(R"({"type": "image", "image": "a.jpg"}, {"type": "image"})"), HasSubstr("and some do not"));
  EXPECT_THAT(refusal(R"({"type": "image", "image": "a.jpg"})", R"("images": ["b.jpg"], )"),
              HasSubstr("name different pictures"));
}

TEST(RecordReader, WhatWouldChangeTheMeaningOfATurnIsRefused) {
  const auto refusal = [](const std::string& field) {
    return complaint(cat(R"({"messages": [{"role": "assistant", "content": "a", )", field, "}]}"));
  };
  EXPECT_THAT(refusal(R"("weight": 0)"), HasSubstr("messages[0].weight is 0"));
  EXPECT_THAT(refusal(R"("tool_calls": [{"id": 1}])"), HasSubstr("messages[0].tool_calls is a list"));
  EXPECT_EQ(refusal(R"("weight": 1, "tool_calls": null, "name": "n")"), "read");
}

TEST(RecordReader, ASystemFieldIsALeadingSystemTurn) {
  const std::string turns = R"("messages": [{"role": "user", "content": "q"}])";
  EXPECT_THAT(turns_of(read(R"({"system": "Be brief.", )" + turns + "}")), ElementsAre("system: Be brief.", "user: q"));
  EXPECT_THAT(turns_of(read(R"({"system": "", )" + turns + "}")), ElementsAre("user: q"));
  EXPECT_THAT(turns_of(read(R"({"system": null, )" + turns + "}")), ElementsAre("user: q"));
  const std::string both = R"("messages": [{"role": "system", "content": "A"}, {"role": "user", "content": "q"}])";
  EXPECT_THAT(turns_of(read(R"({"system": "A", )" + both + "}")), ElementsAre("system: A", "user: q"));
  EXPECT_THAT(complaint(R"({"system": "B", )" + both + "}"), HasSubstr("different system texts"));
}

TEST(RecordReader, ANumberIsNeverTakenForAText) {
  for (const std::string number : {"7", "1e5", "1e400", "-123456789012345678901234567890"}) {
    SCOPED_TRACE(number);
    const std::string shown = number + ", not a string";
    EXPECT_THAT(complaint(cat(R"({"conversations": [{"from": "gpt", "value": )", number, "}]}")), HasSubstr(shown));
    EXPECT_THAT(complaint(cat(R"({"messages": [{"role": )", number, R"(, "content": "a"}]})")), HasSubstr(shown));
    EXPECT_THAT(complaint(cat(R"({"images": [)", number, R"(], "messages": []})")), HasSubstr(shown));
    EXPECT_THAT(complaint(cat(R"({"image": )", number, R"(, "messages": []})")),
                HasSubstr("neither a string nor a list of strings but " + number));
    EXPECT_EQ(read(cat(R"({"id": )", number, R"(, "score": )", number, R"(, "messages": []})")).id, number);
  }
  EXPECT_THAT(complaint(R"({"score": 1e5e5, "messages": []})"), HasSubstr("not valid JSON"));
}

TEST(RecordReader, WordsOfPythonInsideStringsStay) {
  const Record record = read(R"({"id": "None", "messages": [{"role": "user", "content": "\"NaN, True\" 1e400"}]})");
  EXPECT_EQ(record.id, "None");
  EXPECT_THAT(turns_of(record), ElementsAre("user: \"NaN, True\" 1e400"));
}

TEST(RecordReader, TheLastOfSeveralFieldsOfOneNameCounts) {
  EXPECT_EQ(read(R"({"id": 1, "id": 2, "messages": []})").id, "2");
}

TEST(RecordReader, RemembersAFieldThatMayNamePictures) {
  EXPECT_EQ(read(R"({"topic": 1, "img_path": "a.jpg", "messages": []})").unread_pictures, "img_path");
  EXPECT_EQ(read(R"({"topic": 1, "messages": []})").unread_pictures, "");
}

}  // namespace
}  // namespace striate

#include "striate/tables/rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"
#include "tests/tables/table_fixture.h"

namespace striate {
namespace {

using testing::HasSubstr;

class RowsFile : public testing::Test {
 protected:
  std::vector<Row> rows(const std::string& name, const std::string& text, std::string_view member = {}) const {
    const auto path = folder_.path() / name;
    write_file(path, text);
    const auto reader = open_rows(path, member);
    std::vector<Row> all;
    while (auto row = reader->next()) all.push_back(std::move(*row));
    return all;
  }
  std::string refusal(const std::string& name, const std::string& text, std::string_view member = {}) const {
    try {
      rows(name, text, member);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), 2);
      EXPECT_FALSE(error.hint().empty());
      return error.what();
    }
    return "";
  }

  test::TemporaryFolder folder_;
};

TEST_F(RowsFile, JsonIsReadInEveryFormItIsPublishedIn) {
  const std::string rows_text = R"({"id": 1}, {"id": 2})";
  const std::pair<const char*, std::string> forms[] = {
      {"a.json", "[" + rows_text + "]"},
      {"b.json", "{\"info\": {\"data\": []}, \"data\": [" + rows_text + "], \"more\": 3}"},
      {"c.json", "{\"id\": 1}\n\n{\"id\": 2}\n"},
      {"d.jsonl", "\xEF\xBB\xBF{\"id\": 1}\r\n{\"id\": 2}"},
      {"e.json", R"({"x": {"id": 1}, "y": {"id": 2}})"}};
  for (const auto& [name, text] : forms) {
    SCOPED_TRACE(name);
    const std::vector<Row> all = rows(name, text, "data");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].fields.at("id"), 2);
    EXPECT_EQ(all[1].key, name[0] == 'e' ? "y" : "");
  }
}

TEST_F(RowsFile, TablesMayHaveSeparatorsBreaksAndQuotesInTheirCells) {
  const std::vector<Row> all = rows("a.csv", "id,text\r\n1,\"a, \"\"b\"\"\nc\"\r\n2,plain\n\n3,\n");
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(text_of(all[0], "text"), "a, \"b\"\nc");
  EXPECT_EQ(text_of(all[1], "id"), "2");
  EXPECT_EQ(text_of(all[2], "text"), "");
  EXPECT_THAT(all[1].place, HasSubstr("a.csv:4"));
}

TEST_F(RowsFile, AFaultIsNamedByFileAndRow) {
  EXPECT_THAT(refusal("a.jsonl", "{\"id\": 1}\n{\"id\": \n"), HasSubstr("a.jsonl:2"));
  EXPECT_THAT(refusal("b.json", "[{\"id\": 1}, {\"id\": x}]"), HasSubstr("b.json, element 2"));
  EXPECT_THAT(refusal("c.json", "{\"x\": {\"id\": 1}, \"y\": {\"id\": x}}"), HasSubstr("c.json, \"y\""));
  EXPECT_THAT(refusal("d.json", "[{\"id\": 1}, {\"id\""), HasSubstr("d.json:1: not JSON"));
  EXPECT_THAT(refusal("e.json", "[{\"id\": 1} {\"id\": 2}]"), HasSubstr("',' is missing"));
  EXPECT_THAT(refusal("f.json", "hello"), HasSubstr("neither a list nor an object"));
  EXPECT_THAT(refusal("g.json", ""), HasSubstr("neither a list nor an object"));
  EXPECT_THAT(refusal("h.csv", "a,b\n1,2\n3\n"), HasSubstr("h.csv:3: 1 cells, where the header has 2"));
  EXPECT_THAT(refusal("i.csv", "a,b\n1,\"2\n"), HasSubstr("i.csv:2: a quoted cell does not end"));
  EXPECT_THAT(refusal("j.csv", "a\n\xff\n"), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal("k.json", std::string(100'000, '[')), HasSubstr("k.json"));
  EXPECT_THAT(refusal("l.parquet", "PAR1"), HasSubstr("l.parquet"));
}

TEST_F(RowsFile, FieldsAreAskedForByKind) {
  const std::vector<Row> all = rows("a.jsonl", R"({"n": 3, "t": "x", "l": ["a", 1], "o": {}, "z": null})");
  const Row& row = all.at(0);
  EXPECT_EQ(text_of(row, "n"), "3");
  EXPECT_EQ(whole_of(row, "n"), 3);
  EXPECT_EQ(text_of(row, "none", "else"), "else");
  EXPECT_EQ(texts_of(row, "l"), (std::vector<std::string>{"a", "1"}));
  EXPECT_EQ(texts_of(row, "t"), (std::vector<std::string>{"x"}));
  EXPECT_FALSE(has(row, "z"));
  EXPECT_THROW(text_of(row, "o"), Error);
  EXPECT_THROW(text_of(row, "z"), Error);
  EXPECT_THROW(whole_of(row, "t"), Error);
  EXPECT_THROW(number_of(row, "t"), Error);
}

TEST_F(RowsFile, MalformedRowsAreLeftOutAndListedAndTheOthersKeepTheirNumbers) {
  const std::pair<const char*, std::string> forms[] = {
      {"a.jsonl", "{\"id\": 0}\n{\"id\": \n{\"word\": 1}\n[7]\n{\"id\": 4}\n"},
      {"b.json", "[{\"id\": 0}, {\"id\" 1}, {\"word\": 1}, [7], {\"id\": 4}]"},
      {"c.csv", "id,word\n0,a\n1\n2,b,c\n\xff,d\n4,e\n"}};
  for (const auto& [name, text] : forms) {
    SCOPED_TRACE(name);
    write_file(folder_.path() / name, text);
    const test::KeptRows kept = test::kept_rows(folder_.path() / name, "id");
    EXPECT_EQ(kept.texts, (std::vector<std::string>{"0", "4"}));
    EXPECT_EQ(kept.numbers, (std::vector<std::size_t>{0, 4}));
    ASSERT_EQ(kept.skipped.size(), 3U);
    for (const SkippedRow& row : kept.skipped) {
      EXPECT_THAT(row.reason, testing::StartsWith(row.place + ":"));
      EXPECT_FALSE(row.hint.empty());
    }
  }
  EXPECT_THAT(test::kept_rows(folder_.path() / "a.jsonl", "id").skipped[0].place, testing::EndsWith("a.jsonl:2"));
  EXPECT_THAT(test::kept_rows(folder_.path() / "b.json", "id").skipped[1].place,
              testing::EndsWith("b.json, element 3"));
  EXPECT_THAT(test::kept_rows(folder_.path() / "c.csv", "id").skipped[2].reason,
              HasSubstr("c.csv:5: cell 1 is not UTF-8"));
}

TEST_F(RowsFile, TheFirstMalformedRowEndsTheReadingUnlessItIsSkipped) {
  write_file(folder_.path() / "a.jsonl", "{\"id\": 0}\n{\"id\": \n");
  BadRows stop(OnBadRow::kStop);
  const auto rows = open_rows(folder_.path() / "a.jsonl");
  try {
    stop.take_all(*rows, [](const Row&) {});
    ADD_FAILURE() << "the row was taken";
  } catch (const BadRow& bad) {
    EXPECT_THAT(bad.what(), HasSubstr("a.jsonl:2:"));
    EXPECT_THAT(bad.hint(), HasSubstr("`on_bad_sample` skip"));
    EXPECT_EQ(bad.exit_code(), 2);
  }
}

TEST_F(RowsFile, AFileThatEndsInsideAValueIsNoMalformedRow) {
  write_file(folder_.path() / "cut.json", "[{\"id\": 0}, {\"id\": 1}, {\"id\": ");
  write_file(folder_.path() / "cut.csv", "id,word\n0,\"a\n1,b\n");
  for (const char* name : {"cut.json", "cut.csv"}) {
    EXPECT_NE(test::refusal_of([&] { test::kept_rows(folder_.path() / name, "id"); }), "") << name;
  }
}

}  // namespace
}  // namespace striate

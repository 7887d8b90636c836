#include <gmock/gmock.h>

#include "striate/base/base64.h"
#include "striate/base/strings.h"
#include "striate/tables/cell_name.h"
#include "striate/tables/pandas.h"
#include "striate/tables/python_literal.h"
#include "tests/tables/table_fixture.h"

namespace striate {
namespace {

using test::read_table_file;
using test::refusal_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;

std::string long_picture(char letter) {
  return std::string(90, letter);
}

class TsvFile : public testing::Test {
 protected:
  test::ReadTable read(const std::string& text) const { return read_table_file(written(text)); }
  std::string refusal(const std::string& text) const {
    const auto path = written(text);
    return refusal_of([&] { read_table_file(path); });
  }
  std::filesystem::path written(const std::string& text) const {
    write_file(folder_.path() / "kit.tsv", text);
    return folder_.path() / "kit.tsv";
  }

  test::TemporaryFolder folder_;
};

TEST_F(TsvFile, CellsMayHaveTabsBreaksAndQuotes) {
  const auto table =
      read("index\tquestion\tA\r\n7\t\"one \"\"two\"\"\nthree\tfour\"\tNone\r\n\r\n8\tplain \"quotes\"\t\n9\tshort\n");
  ASSERT_EQ(table.rows.size(), 3U);
  EXPECT_EQ(table.at(0, "question"), "one \"two\"\nthree\tfour");
  EXPECT_EQ(table.at(0, "A"), "None");
  EXPECT_EQ(table.at(1, "question"), "plain \"quotes\"");
  EXPECT_TRUE(table.at(1, "A").is_null());
  EXPECT_TRUE(table.at(2, "A").is_null());
  EXPECT_EQ(table.pictures, nullptr);
  EXPECT_THAT(table.rows[1].place, HasSubstr("kit.tsv:5"));
}

TEST_F(TsvFile, PicturesAreBase64OrTheIndexOfAnotherRow) {
  const auto table = read(cat("index\timage\n1\t3\n2\t", base64_of(long_picture('b')), "\n3\t\"",
                              base64_of(long_picture('c')), "\"\n1000003\t3\n5\t\n"));
  EXPECT_EQ(table.picture(0, "image"), long_picture('c'));
  EXPECT_EQ(table.picture(1, "image"), long_picture('b'));
  EXPECT_EQ(table.at(0, "image"), "kit.tsv#2/image");
  EXPECT_EQ(table.at(3, "image"), table.at(2, "image"));
  EXPECT_TRUE(table.at(4, "image").is_null());
  EXPECT_FALSE(table.pictures->has("kit.tsv#5/image"));
  EXPECT_EQ(table.pictures->bytes("kit.tsv"), std::nullopt);
}

TEST_F(TsvFile, ACellMayHoldAListOfPictures) {
  const auto table =
      read(cat("index\timage\n1\t['", base64_of(long_picture('a')), "', '", base64_of(long_picture('b')), "']\n"));
  ASSERT_EQ(table.at(0, "image").size(), 2U);
  EXPECT_EQ(table.pictures->bytes(table.at(0, "image")[1]), long_picture('b'));
}

TEST_F(TsvFile, AFaultIsNamedByItsRow) {
  EXPECT_THAT(refusal("index\timage\n1\t2\n2\t\n"), HasSubstr("kit.tsv:2: \"image\" is neither base64 nor the index"));
  EXPECT_THAT(refusal("index\timage\n1\t99\n"), HasSubstr("kit.tsv:2"));
  EXPECT_THAT(refusal("index\ta\n1\t2\t3\n"), HasSubstr("kit.tsv:2: 3 cells, where the header has 2"));
  EXPECT_THAT(refusal("index\ta\n1\t\"2\n"), HasSubstr("kit.tsv:2: a quoted cell does not end"));
  EXPECT_THAT(refusal("index\ta\n1\t\xff\n"), HasSubstr("kit.tsv:2: cell 2 is not UTF-8"));
  EXPECT_THAT(refusal("index\t\xff\n1\t2\n"), HasSubstr("kit.tsv:1: the name of a column is not UTF-8"));
  const auto table = read(cat("index\timage\n1\t", std::string(100, '!'), "\n"));
  EXPECT_THAT(refusal_of([&] { table.picture(0, "image"); }), HasSubstr("row 0: \"image\" is not base64"));
}

TEST(CellName, IsReadBackAsItWasMade) {
  for (const CellName& cell : {CellName{12, "image", {}}, CellName{0, "images", 3}, CellName{5, "a/b", 0}}) {
    const auto read = parse_cell_name(cell_name("dir/t.parquet", cell), "dir/t.parquet");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->row, cell.row);
    EXPECT_EQ(read->column, cell.column);
    EXPECT_EQ(read->item, cell.item);
  }
  for (const char* other :
       {"t.tsv", "t.tsv#", "t.tsv#1", "t.tsv#x/image", "t.tsv2#1/image", "#1/image", "t.tsv#-1/a"}) {
    EXPECT_EQ(parse_cell_name(other, "t.tsv"), std::nullopt) << other;
  }
}

TEST(Base64, DecodesWhatItEncodes) {
  for (std::size_t length = 1; length < 50; ++length) {
    std::string bytes;
    for (std::size_t i = 0; i < length; ++i) bytes += static_cast<char>(i * 37 + length);
    EXPECT_EQ(decode_base64(base64_of(bytes)), bytes);
  }
  for (const char* wrong : {"", "a", "ab", "abc", "ab=c", "====", "a===", "ab!d", "YQ==YQ=="}) {
    EXPECT_EQ(decode_base64(wrong), std::nullopt) << wrong;
  }
}

TEST(PythonList, IsReadAsPythonWroteIt) {
  EXPECT_THAT(parse_python_list(R"(['a', "b's", 'c\'s', 'd\\e\n\x41\u00fc\101'])"),
              Optional(ElementsAre("a", "b's", "c's", "d\\e\nAüA")));
  EXPECT_THAT(parse_python_list("[1, -2.5, None, True]"), Optional(ElementsAre("1", "-2.5", "None", "True")));
  EXPECT_THAT(parse_python_list("('a' 'b',)"), Optional(ElementsAre("ab")));
  EXPECT_THAT(parse_python_list("[ ]"), Optional(ElementsAre()));
  for (const char* other : {"", "a", "[", "['a'", "['a]", "['a'] b", "[['a']]", "[a", "['\\x4']", "[,]", "['a' b]"}) {
    EXPECT_EQ(parse_python_list(other), std::nullopt) << other;
  }
}

TEST(Pandas, TakesTheseWordsForMissing) {
  for (const char* word : {"", "NA", "N/A", "n/a", "null", "NULL", "None", "nan", "NaN", "<NA>", "#N/A"}) {
    EXPECT_TRUE(is_pandas_missing(word)) << word;
  }
  for (const char* word : {" ", "na", "none", "No", "Nan", "0", "NONE"}) EXPECT_FALSE(is_pandas_missing(word)) << word;
}

TEST_F(TsvFile, MalformedRowsAreLeftOutAndTheOthersKeepTheirPictures) {
  const auto path =
      written(cat("index\timage\ttext\n1\t", long_picture('A'),
                  "\tone\n2\t99\ttwo\n3\t1\tthree\n4\t1\tfour\tmore\n5\t1\t\n6\t", long_picture('B'), "\tsix\n"));
  const test::KeptRows kept = test::kept_rows(path, "text");
  EXPECT_EQ(kept.texts, (std::vector<std::string>{"one", "three", "six"}));
  ASSERT_EQ(kept.skipped.size(), 3U);
  EXPECT_THAT(kept.skipped[0].reason, HasSubstr("kit.tsv:3: \"image\" is neither base64 nor the index"));
  EXPECT_THAT(kept.skipped[1].reason, HasSubstr("kit.tsv:5: 4 cells, where the header has 3"));
  EXPECT_THAT(kept.skipped[2].reason, HasSubstr("kit.tsv:6: there is no \"text\""));
  const auto rows = open_rows(path);
  EXPECT_EQ(rows->next()->fields.at("image"), "kit.tsv#0/image");
  EXPECT_THROW(rows->next(), BadRow);
  EXPECT_EQ(rows->next()->fields.at("image"), "kit.tsv#0/image");
  EXPECT_THROW(rows->next(), BadRow);
  EXPECT_EQ(rows->next()->fields.at("image"), "kit.tsv#0/image");
  EXPECT_EQ(rows->next()->fields.at("image"), "kit.tsv#5/image");
  EXPECT_FALSE(rows->next());
}

}  // namespace
}  // namespace striate

// Data sets in Parquet (tests/tables/parquet/make_fixtures.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/data/data_files.h"
#include "striate/data/dataset.h"
#include "striate/data/picture_folder.h"
#include "striate/data/table_samples.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::filesystem::path table_fixture(const std::string& name) {
  return test::sources() / "tests/tables/parquet" / name;
}

class TableData : public testing::Test {
 protected:
  void SetUp() override {
    try {
      Dataset{table_fixture("messages.parquet")};
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kUnsupported) GTEST_SKIP() << error.what();
      throw;
    }
  }
};

TEST_F(TableData, AFolderOfFilesIsOneDataSetThatIsReadInAnyOrder) {
  const Dataset data(table_fixture("data"));
  ASSERT_EQ(data.size(), 20);
  for (std::int64_t i = 19; i >= 0; --i) {
    const Record record = data.read(i);
    EXPECT_EQ(record.id, cat("sample ", i));
    EXPECT_EQ(record.turns.at(1).value, cat("It is ", i, "."));
    EXPECT_THAT(record.images, SizeIs(i % 5 == 0 ? 0 : 1));
    EXPECT_EQ(record.form, "conversations with from and value");
  }
  EXPECT_THAT(data.place(13), HasSubstr("train-00001-of-00002.parquet: sample 13 (row 3)"));
  EXPECT_EQ(data.line(13), 4);
}

TEST_F(TableData, PicturesComeOutOfTheTable) {
  const Dataset data(table_fixture("data"));
  const PictureFolder pictures("/nonexistent", {}, data.pictures());
  for (const std::int64_t i : {13, 1, 19, 4}) {
    const std::string name = data.read(i).images.at(0);
    EXPECT_EQ(name, cat("train-0000", i / 10, "-of-00002.parquet#", i % 10, "/image"));
    pictures.check(name);
    EXPECT_THAT(pictures.open(name).bytes, HasSubstr("PNG"));
  }
  EXPECT_THROW(pictures.open("train-00000-of-00002.parquet#0/image"), BadSample);  // a row without one
  EXPECT_THROW(pictures.open("elsewhere.png"), BadSample);
}

TEST_F(TableData, MessagesInPartsHaveTheirPicturesInAColumn) {
  const Dataset data(table_fixture("messages.parquet"));
  const Record record = data.read(0);
  EXPECT_THAT(record.images, ElementsAre("messages.parquet#0/images/0", "messages.parquet#0/images/1"));
  EXPECT_EQ(record.turns.at(0).value, "<image>\n<image>\nWhat?");
  EXPECT_EQ(record.turns.at(1).value, "This.");
}

TEST_F(TableData, AnObjectOfListsIsAListOfTurns) {
  const Record record = Dataset(table_fixture("sequence.parquet")).read(0);
  ASSERT_THAT(record.turns, SizeIs(2));
  EXPECT_EQ(record.turns[0].from, "human");
  EXPECT_EQ(record.turns[1].value, "I.");
  EXPECT_THAT(record.images, IsEmpty());
}

TEST_F(TableData, TheHashIsOfEveryByteOfEveryFile) {
  const test::TemporaryFolder folder;
  for (const char* name : {"a.parquet", "b.parquet"}) {
    write_file(folder.path() / name, read_file(table_fixture("messages.parquet")));
  }
  const std::string both = data_hash(folder.path());
  write_file(folder.path() / "b.parquet", read_file(table_fixture("sequence.parquet")));
  EXPECT_NE(data_hash(folder.path()), both);
  EXPECT_NE(data_hash(folder.path() / "a.parquet"), both);
}

TEST_F(TableData, AFolderWithoutParquetAndADamagedFileAreRefused) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(Dataset{folder.path()}, Error);
  std::string bytes = read_file(table_fixture("messages.parquet"));
  bytes.resize(bytes.size() / 2);
  write_file(folder.path() / "half.parquet", bytes);
  try {
    Dataset{folder.path()};
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("half.parquet"));
  }
}

}  // namespace
}  // namespace striate

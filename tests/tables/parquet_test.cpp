// Parquet files that pyarrow wrote (parquet/make_fixtures.py), whole and damaged.
#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <thread>

#include "striate/base/files.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "tests/tables/table_fixture.h"

namespace striate {
namespace {

using test::read_table_file;
using test::refusal_of;
using testing::HasSubstr;

constexpr std::array<const char*, 4> kFiles = {"plain.parquet", "snappy.parquet", "zstd.parquet", "checksums.parquet"};

std::filesystem::path fixture(const std::string& name) {
  return test::sources() / "tests/tables/parquet" / name;
}

class ParquetFile : public testing::Test {
 protected:
  void SetUp() override {
    try {
      open_rows(fixture("plain.parquet"));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kUnsupported) GTEST_SKIP() << error.what();
      throw;
    }
  }
};

std::string picture_text(std::size_t number) {
  return "picture " + std::to_string(number);
}

TEST_F(ParquetFile, RowsAreTheSameHoweverTheyWereWritten) {
  for (const char* name : kFiles) {
    SCOPED_TRACE(name);
    const auto table = read_table_file(fixture(name));
    ASSERT_EQ(table.rows.size(), 30U);
    for (std::size_t i = 0; i < 30; ++i) {
      EXPECT_EQ(table.at(i, "id"), cat("row ", i));
      EXPECT_EQ(table.at(i, "kind").is_null(), i % 3 == 2);
      if (i % 5 != 0) {
        EXPECT_EQ(table.at(i, "number"), static_cast<std::int64_t>(i) * 1'000'000'000'000);
      }
      EXPECT_EQ(table.at(i, "share").is_null(), i == 7);  // NaN
      EXPECT_EQ(table.at(i, "words").is_null(), i % 6 == 0);
      EXPECT_EQ(table.at(i, "words").size(), i % 6 == 0 ? 0 : i % 4);
      EXPECT_EQ(table.at(i, "conversations")[1].at("value"), cat("It is ", i, ", wörtlich."));
      EXPECT_THAT(table.rows[i].place, HasSubstr(cat(name, ", row ", i)));
    }
  }
}

TEST_F(ParquetFile, PicturesAreFoundByTheirNamesInAnyOrder) {
  for (const char* name : kFiles) {
    SCOPED_TRACE(name);
    const auto table = read_table_file(fixture(name));
    for (std::size_t i = 30; i-- > 0;) {
      EXPECT_EQ(table.at(i, "image").is_null(), i % 4 == 0);
      if (i % 4 != 0) {
        EXPECT_EQ(table.picture(i, "image"), picture_text(i));
      }
      if (i % 2 != 0) {
        EXPECT_EQ(table.picture(i, "picture"), picture_text(9 * i));
      }
      ASSERT_EQ(table.at(i, "images").size(), i % 3);
      for (std::size_t j = 0; j < i % 3; ++j) {
        EXPECT_EQ(table.pictures->bytes(table.at(i, "images")[j]), picture_text(100 * i + j));
      }
    }
    EXPECT_EQ(table.at(1, "image"), cat(name, "#1/image"));
    EXPECT_FALSE(table.pictures->has(cat(name, "#30/image")));
    EXPECT_FALSE(table.pictures->has(cat(name, "#1/image/0")));
    EXPECT_FALSE(table.pictures->has(cat(name, "#1/id")));
    EXPECT_EQ(table.pictures->bytes("1.jpg"), std::nullopt);
    EXPECT_THAT(refusal_of([&] { table.pictures->bytes(cat(name, "#0/image")); }),
                HasSubstr("row 0, \"image\": there is no picture"));
    EXPECT_THAT(refusal_of([&] { table.pictures->bytes(cat(name, "#2/images/5")); }), HasSubstr("row 2, \"images\""));
  }
}

TEST_F(ParquetFile, PicturesMayBeAskedForFromManyThreads) {
  const auto table = read_table_file(fixture("snappy.parquet"));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::size_t step = 0; step < 60; ++step) {
        const std::size_t i = (step * 7 + thread * 5) % 30;
        if (i % 4 != 0 && table.picture(i, "image") != picture_text(i)) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

// Rows and pictures; whatever is wrong must end in an Error of the user's.
void read_all(const std::filesystem::path& path) {
  const auto reader = open_rows(path);
  std::vector<std::string> names;
  while (const auto row = reader->next()) {
    for (const char* column : {"image", "picture"}) {
      if (has(*row, column) && row->fields.at(column).is_string()) names.push_back(row->fields.at(column));
    }
  }
  for (const std::string& name : names) {
    if (const auto pictures = reader->pictures(); pictures && pictures->has(name)) pictures->bytes(name);
  }
}

TEST_F(ParquetFile, TwoHundredDamagedFilesEndInAnError) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "damaged.parquet";
  std::size_t refused = 0;
  for (std::uint64_t number = 0; number < 200; ++number) {
    const RandomStream random(number, "damage to a Parquet file");
    std::string bytes = read_file(fixture(kFiles[number % kFiles.size()]));
    if (number % 5 == 0) {
      bytes.resize(random.bits(0) % bytes.size());
    } else {
      // Half of them in the footer, which describes everything.
      const std::size_t first = number % 2 == 0 ? bytes.size() - bytes.size() / 3 : 0;
      for (std::uint64_t flip = 0; flip < 1 + number % 4; ++flip) {
        const std::size_t at = first + random.bits(1 + 2 * flip) % (bytes.size() - first);
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.bits(2 + 2 * flip) % 8));
      }
    }
    write_file(path, bytes);
    const std::string message = refusal_of([&] { read_all(path); });
    refused += message.empty() ? 0 : 1;
    if (!message.empty()) {
      EXPECT_THAT(message, HasSubstr("damaged.parquet")) << number;
    }
  }
  EXPECT_GT(refused, 100U);  // what is left hit a text or a picture
}

TEST_F(ParquetFile, AFlippedBitIsFoundByItsChecksum) {
  const test::TemporaryFolder folder;
  std::string bytes = read_file(fixture("checksums.parquet"));
  const std::size_t at = bytes.find("picture 5");
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'P';
  write_file(folder.path() / "flipped.parquet", bytes);
  EXPECT_THAT(refusal_of([&] { read_all(folder.path() / "flipped.parquet"); }), HasSubstr("flipped.parquet, row"));
}

TEST_F(ParquetFile, WhatIsNotParquetIsRefused) {
  const test::TemporaryFolder folder;
  for (const std::string& text :
       {std::string(), std::string("PAR1"), std::string(5000, 'x'), std::string("PAR1\0\0\0\0PAR1", 12)}) {
    write_file(folder.path() / "no.parquet", text);
    EXPECT_THAT(refusal_of([&] { read_all(folder.path() / "no.parquet"); }), HasSubstr("no.parquet"));
  }
  EXPECT_THAT(refusal_of([&] { read_all(folder.path() / "absent.parquet"); }), HasSubstr("absent.parquet"));
}

TEST_F(ParquetFile, RowsWithoutANeededCellAreLeftOutAndListed) {
  const test::KeptRows kept = test::kept_rows(fixture("zstd.parquet"), "kind");
  EXPECT_EQ(kept.texts.size(), 20U);
  ASSERT_EQ(kept.skipped.size(), 10U);
  EXPECT_THAT(kept.skipped[1].reason, HasSubstr("zstd.parquet, row 5: there is no \"kind\""));
}

}  // namespace
}  // namespace striate

#include "striate/train/tensorboard.h"

#include <gtest/gtest.h>

#include <cstring>

#include "striate/base/files.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

std::uint64_t integer_at(const std::string& bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes.at(at + i))) << (8 * i);
  }
  return value;
}

// The records of a TFRecord file, checked against their checksums.
std::vector<std::string> records_of(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  std::vector<std::string> records;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = integer_at(bytes, at, 8);
    EXPECT_EQ(integer_at(bytes, at + 8, 4), masked_crc32c(bytes.substr(at, 8)));
    const std::string data = bytes.substr(at + 12, length);
    EXPECT_EQ(data.size(), length);
    EXPECT_EQ(integer_at(bytes, at + 12 + length, 4), masked_crc32c(data));
    records.push_back(data);
    at += length + 16;
  }
  return records;
}

// A protobuf message as (field, bytes or number) pairs.
struct Field {
  std::uint64_t number;
  std::uint64_t integer = 0;
  std::string bytes;
};

std::uint64_t read_varint(const std::string& bytes, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.at(at++));
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

std::vector<Field> fields_of(const std::string& bytes) {
  std::vector<Field> fields;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint64_t key = read_varint(bytes, at);
    Field field{key >> 3, 0, {}};
    const std::uint64_t type = key & 7;
    if (type == 0) {
      field.integer = read_varint(bytes, at);
    } else if (type == 2) {
      const std::size_t size = read_varint(bytes, at);
      field.bytes = bytes.substr(at, size);
      at += size;
    } else {
      const std::size_t size = type == 1 ? 8 : 4;
      field.integer = integer_at(bytes, at, size);
      at += size;
    }
    fields.push_back(field);
  }
  return fields;
}

TEST(Crc32c, GivesTheStandardsOwnExamples) {
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);  // RFC 3720, B.4
}

TEST(EventFile, HoldsTheScalarsOfEveryStep) {
  const test::TemporaryFolder home;
  std::filesystem::path path;
  {
    EventFile file(home.path() / "tb", 0);
    file.add_scalars(1, {{"loss", 2.5}, {"lr/adapter", 1e-4}});
    file.add_scalars(300, {{"loss", 1.25}});
    path = file.path();
  }
  EXPECT_TRUE(path.filename().string().starts_with("events.out.tfevents."));
  const std::vector<std::string> records = records_of(path);
  ASSERT_EQ(records.size(), 3U);
  const std::vector<Field> version = fields_of(records[0]);
  EXPECT_EQ(version.at(2).number, 3U);
  EXPECT_EQ(version.at(2).bytes, "brain.Event:2");
  const std::vector<Field> first = fields_of(records[1]);
  EXPECT_EQ(first.at(1).integer, 1U);
  EXPECT_EQ(first.at(2).number, 5U);
  const std::vector<Field> values = fields_of(first.at(2).bytes);
  ASSERT_EQ(values.size(), 2U);
  const std::vector<Field> loss = fields_of(values[0].bytes);
  EXPECT_EQ(loss.at(0).bytes, "loss");
  float value = 0;
  const auto bits = static_cast<std::uint32_t>(loss.at(1).integer);
  std::memcpy(&value, &bits, sizeof value);
  EXPECT_EQ(value, 2.5F);
  EXPECT_EQ(fields_of(records[2]).at(1).integer, 300U);
}

TEST(EventFile, AResumedRunHidesLaterStepsOfTheEarlierFile) {
  const test::TemporaryFolder home;
  std::filesystem::path path;
  {
    const EventFile file(home.path(), 41);
    path = file.path();
  }
  const std::vector<std::string> records = records_of(path);
  ASSERT_EQ(records.size(), 2U);
  const std::vector<Field> start = fields_of(records[1]);
  EXPECT_EQ(start.at(1).integer, 41U);
  EXPECT_EQ(start.at(2).number, 7U);                          // session_log
  EXPECT_EQ(fields_of(start.at(2).bytes).at(0).integer, 1U);  // START
}

}  // namespace
}  // namespace striate

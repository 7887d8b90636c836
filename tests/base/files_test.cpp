#include "striate/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "striate/base/error.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::HasSubstr;

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// Runs `action`, which must throw an Error of that kind naming `path`, with a hint.
template <typename Action>
void expect_error(ErrorKind kind, const std::filesystem::path& path, const Action& action) {
  try {
    action();
    FAIL() << path << ": no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(path.string()));
    EXPECT_FALSE(error.hint().empty());
  }
}

TEST(ReadFile, GivesEveryByte) {
  const test::TemporaryFolder folder;
  const std::string bytes("a\0b\r\n\xFF", 6);
  write_file(folder.path() / "file", bytes);
  EXPECT_EQ(read_file(folder.path() / "file"), bytes);
  write_file(folder.path() / "empty", "");
  EXPECT_EQ(read_file(folder.path() / "empty"), "");
}

TEST(ReadFile, HoldsItsCap) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  expect_error(ErrorKind::kCorruptData, path, [&] { read_file(path, 4); });
}

TEST(ReadFile, WhatIsNotAFileIsInvalid) {
  const test::TemporaryFolder folder;
  expect_error(ErrorKind::kInvalidInput, folder.path() / "absent", [&] { read_file(folder.path() / "absent"); });
  expect_error(ErrorKind::kInvalidInput, folder.path(), [&] { read_file(folder.path()); });
  expect_error(ErrorKind::kInvalidInput, "/dev/zero", [] { read_file("/dev/zero"); });
}

TEST(MappedFile, ShowsTheFileAndKeepsItAfterItIsRemoved) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, "mapped");
  const auto file = MappedFile::open(path);
  EXPECT_EQ(file->path(), path);
  std::filesystem::remove(path);
  EXPECT_EQ(text_of(*file), "mapped");
}

TEST(MappedFile, AnEmptyFileIsAnEmptySpan) {
  const test::TemporaryFolder folder;
  write_file(folder.path() / "empty", "");
  EXPECT_TRUE(MappedFile::open(folder.path() / "empty")->bytes().empty());
}

TEST(MappedFile, SeesTheOldFileWhileANewOneIsMovedInItsPlace) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, "old");
  const auto old = MappedFile::open(path);
  write_file(path, "new and longer");
  EXPECT_EQ(text_of(*old), "old");
  EXPECT_EQ(text_of(*MappedFile::open(path)), "new and longer");
}

TEST(MappedFile, WhatIsNotAFileIsInvalid) {
  const test::TemporaryFolder folder;
  expect_error(ErrorKind::kInvalidInput, folder.path() / "absent", [&] { MappedFile::open(folder.path() / "absent"); });
  expect_error(ErrorKind::kInvalidInput, folder.path(), [&] { MappedFile::open(folder.path()); });
  expect_error(ErrorKind::kInvalidInput, "/dev/zero", [] { MappedFile::open("/dev/zero"); });
}

}  // namespace
}  // namespace striate

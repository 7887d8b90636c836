#include "striate/base/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "striate/base/error.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::HasSubstr;

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

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

TEST(AtomicFile, AppearsWholeOnCommitOnly) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, "old");
  AtomicFile file(path);
  file.write("ne");
  file.write("w");
  EXPECT_EQ(read_file(path), "old");
  file.commit();
  EXPECT_EQ(read_file(path), "new");
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("file"));
}

TEST(AtomicFile, LeavesNothingBehindWhenItIsNotCommitted) {
  const test::TemporaryFolder folder;
  try {
    AtomicFile file(folder.path() / "file");
    file.write("half");
    throw std::runtime_error("something else failed");
  } catch (const std::runtime_error&) {
  }
  EXPECT_THAT(names_in(folder.path()), testing::IsEmpty());
}

TEST(AtomicFile, IsReadableByOthersWhateverItsTemporaryWas) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, "text");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0644U);
}

TEST(AtomicFile, AMissingFolderIsAResourceErrorNamingTheFile) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "absent" / "file";
  expect_error(ErrorKind::kResource, path, [&] { write_file(path, "text"); });
}

TEST(AtomicFile, AFolderInThePlaceOfTheFileStaysAndNothingIsLeft) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "taken";
  std::filesystem::create_directory(path);
  write_file(path / "inside", "kept");
  expect_error(ErrorKind::kResource, path, [&] { write_file(path, "text"); });
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("taken"));
  EXPECT_EQ(read_file(path / "inside"), "kept");
}

TEST(AtomicFile, WritesIntoTheCurrentFolderByABareName) {
  const test::TemporaryFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  write_file("bare", "text");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_file(folder.path() / "bare"), "text");
}

// In a process of its own: no file may grow beyond 100 kB, as if the disk were full; then `path` is written. The exit
// status says what became of it.
void write_where_room_ends(const std::filesystem::path& path) {
  std::signal(SIGXFSZ, SIG_IGN);
  constexpr rlimit kRoom{100'000, 100'000};
  ::setrlimit(RLIMIT_FSIZE, &kRoom);
  try {
    write_file(path, std::string(300'000, 'x'));
  } catch (const Error& error) {
    const bool told = error.kind() == ErrorKind::kResource && error.exit_code() == 1 && !error.hint().empty() &&
                      std::string(error.what()).find(path.string()) != std::string::npos;
    std::_Exit(told ? 0 : 1);
  }
  std::_Exit(2);
}

TEST(AtomicFileDeathTest, AFullDiskKeepsTheOldFileAndLeavesNothingElse) {
  testing::GTEST_FLAG(death_test_style) = "fast";
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, "old");
  EXPECT_EXIT(write_where_room_ends(path), testing::ExitedWithCode(0), "");
  EXPECT_EQ(read_file(path), "old");
  EXPECT_THAT(names_in(folder.path()), testing::ElementsAre("file"));
}

}  // namespace
}  // namespace striate

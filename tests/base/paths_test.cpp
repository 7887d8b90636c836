#include "striate/base/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// What every question about a path says of one that cannot be looked at: an InvalidInput with a hint.
template <typename Question>
std::string refusal(const Question& question) {
  try {
    question();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput) << error.what();
    EXPECT_FALSE(error.hint().empty()) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Paths, FilesFoldersAndTheRestAreToldApart) {
  const test::TemporaryFolder folder;
  write_file(folder.path() / "file", "12345");
  fs::create_symlink("file", folder.path() / "link");
  fs::create_symlink("nothing", folder.path() / "dangling");
  ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(path_kind(folder.path()), PathKind::kFolder);
  EXPECT_EQ(path_kind(folder.path() / "file"), PathKind::kFile);
  EXPECT_EQ(path_kind(folder.path() / "link"), PathKind::kFile);
  EXPECT_EQ(path_kind(folder.path() / "dangling"), PathKind::kAbsent);
  EXPECT_EQ(path_kind(folder.path() / "pipe"), PathKind::kOther);
  EXPECT_EQ(path_kind("/dev/null"), PathKind::kOther);
  EXPECT_EQ(path_kind(folder.path() / "absent" / "x"), PathKind::kAbsent);
  EXPECT_EQ(path_kind(folder.path() / "file" / "x"), PathKind::kAbsent);
  EXPECT_TRUE(path_exists(folder.path() / "pipe"));
  EXPECT_FALSE(is_file(folder.path() / "pipe"));
  EXPECT_FALSE(is_folder(folder.path() / "file"));
  EXPECT_EQ(file_size_of(folder.path() / "link"), 5U);
  EXPECT_THAT(refusal([&] { file_size_of(folder.path() / "pipe"); }), HasSubstr("not a regular file"));
  EXPECT_THAT(refusal([&] { file_size_of(folder.path() / "absent"); }), HasSubstr("no such file"));
}

TEST(Paths, WhatCannotBeLookedAtIsAnErrorThatNamesIt) {
  const test::TemporaryFolder folder;
  fs::create_symlink("loop", folder.path() / "loop");
  const std::pair<fs::path, std::string> cases[] = {
      {folder.path() / "loop", "loop: a link that leads back to itself"},
      {folder.path() / std::string(300, 'a'), "a: the name is too long"},
      {std::string(100'000, 'b'), "b... (100000 bytes): the name is too long"},
      {"", "the path is empty"},
      {folder.path() / "caf\xE9", "caf\\xe9: the path is not UTF-8"},
      {fs::path(std::string("a\0b", 3)), "the path contains a zero byte"},
  };
  for (const auto& [path, message] : cases) {
    EXPECT_THAT(refusal([&] { path_exists(path); }), HasSubstr(message));
    EXPECT_THAT(refusal([&] { is_file(path); }), HasSubstr(message));
    EXPECT_THAT(refusal([&] { is_folder(path); }), HasSubstr(message));
    EXPECT_THAT(refusal([&] { file_size_of(path); }), HasSubstr(message));
    EXPECT_THAT(refusal([&] { entries_of(path); }), HasSubstr(message));
    EXPECT_THAT(refusal([&] { make_folders(path); }), HasSubstr(message));
    EXPECT_THAT(refusal([&] { read_file(path); }), HasSubstr(message));
    EXPECT_THAT(refusal([&] { MappedFile::open(path); }), HasSubstr(message));
  }
}

TEST(Paths, AFolderIsListedByName) {
  const test::TemporaryFolder folder;
  for (const char* name : {"b", "a", "c"}) write_file(folder.path() / name, "");
  EXPECT_THAT(entries_of(folder.path()),
              testing::ElementsAre(folder.path() / "a", folder.path() / "b", folder.path() / "c"));
  EXPECT_THAT(refusal([&] { entries_of(folder.path() / "a"); }), HasSubstr("not a folder"));
  EXPECT_THAT(refusal([&] { entries_of(folder.path() / "absent"); }), HasSubstr("no such file or folder"));
}

TEST(Paths, WholePathsAreNormal) {
  const test::TemporaryFolder folder;
  fs::create_directory(folder.path() / "real");
  fs::create_symlink("real", folder.path() / "link");
  EXPECT_EQ(full_path(folder.path() / "a" / ".." / "b"), folder.path() / "b");
  EXPECT_TRUE(full_path("x").is_absolute());
  EXPECT_EQ(real_path(folder.path() / "link" / "new"), fs::canonical(folder.path()) / "real" / "new");
}

TEST(Paths, FoldersAreMadeOnce) {
  const test::TemporaryFolder folder;
  make_folders(folder.path() / "a" / "b");
  make_folders(folder.path() / "a" / "b");
  EXPECT_TRUE(is_folder(folder.path() / "a" / "b"));
  write_file(folder.path() / "file", "");
  EXPECT_THAT(refusal([&] { make_folders(folder.path() / "file"); }), HasSubstr("a file, not a folder"));
  EXPECT_THAT(refusal([&] { make_folders(folder.path() / "file" / "x"); }), HasSubstr("not a folder"));
}

TEST(Paths, FaultsOfTheMachineAreNotTheUsers) {
  EXPECT_EQ(path_error("x", EIO).kind(), ErrorKind::kResource);
  EXPECT_EQ(path_error("x", EMFILE).kind(), ErrorKind::kResource);
  EXPECT_EQ(path_error("x", EACCES).kind(), ErrorKind::kInvalidInput);
}

}  // namespace
}  // namespace striate

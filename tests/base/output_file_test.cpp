#include "striate/base/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <functional>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

// Runs `action`, which must throw an Error of that kind naming `path`, with a hint.
void expect_file_error(ErrorKind kind, const std::string& path, const std::function<void()>& action) {
  try {
    action();
    FAIL() << path << ": no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(path));
    EXPECT_FALSE(error.hint().empty());
  }
}

// Another process that is in the middle of writing something: it does `begin`, says so, and stays there until it is
// killed.
class Writer {
 public:
  explicit Writer(const std::function<void()>& begin) {
    int ready[2] = {};
    EXPECT_EQ(::pipe(ready), 0);
    process_ = ::fork();
    if (process_ == 0) {
      begin();
      (void)!::write(ready[1], "x", 1);
      for (;;) ::pause();
    }
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Writer() { kill(); }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
  }
  std::string number() const { return std::to_string(process_); }

 private:
  pid_t process_ = 0;
};

TEST(AtomicFile, AppearsWholeOnCommitOnly) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "file";
  write_file(path, "old");
  AtomicFile file(anywhere(path));
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
    AtomicFile file(anywhere(folder.path() / "file"));
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

TEST(AtomicFile, AMissingFolderIsInvalidNamingTheFile) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "absent" / "file";
  expect_file_error(ErrorKind::kInvalidInput, path, [&] { write_file(path, "text"); });
}

TEST(AtomicFile, AFolderInThePlaceOfTheFileStaysAndNothingIsLeft) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "taken";
  std::filesystem::create_directory(path);
  write_file(path / "inside", "kept");
  expect_file_error(ErrorKind::kInvalidInput, path, [&] { write_file(path, "text"); });
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

TEST(AtomicFile, ADeviceIsWrittenToAndStaysADevice) {
  write_file(anywhere("/dev/null"), "text");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  const test::TemporaryFolder folder;
  fs::create_symlink("/dev/null", folder.path() / "link");
  write_file(anywhere(folder.path() / "link"), "text");
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
}

TEST(AtomicFile, WhatAKilledProcessLeftIsRemovedWhenTheFileIsWrittenAgain) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "report.html";
  Writer writer([&] { (new AtomicFile(anywhere(path)))->write("half"); });
  writer.kill();
  EXPECT_EQ(names_in(folder.path()).size(), 1U);
  write_file(path, "whole");
  EXPECT_THAT(names_in(folder.path()), ElementsAre("report.html"));
}

TEST(AtomicFile, AFileThatAnotherProcessIsWritingIsRefusedNamingThatProcess) {
  const test::TemporaryFolder folder;
  const fs::path path = folder.path() / "report.html";
  const Writer writer([&] { (new AtomicFile(anywhere(path)))->write("half"); });
  expect_file_error(ErrorKind::kInvalidInput, "process " + writer.number(), [&] { write_file(path, "mine"); });
  EXPECT_EQ(names_in(folder.path()).size(), 1U);
}

TEST(AppendFile, KeepsWhatIsThereAndAddsToItsEnd) {
  const test::TemporaryFolder folder;
  AppendFile(OutputPath::inside(folder.path(), "lines")).append("one\n");
  AppendFile(OutputPath::inside(folder.path(), "lines")).append("two\n");
  EXPECT_EQ(read_file(folder.path() / "lines"), "one\ntwo\n");
}

TEST(OutputPath, InsideAFolderIsARelativeNameWithoutAWayOut) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(OutputPath::inside(folder.path(), "a/b/file").path(), folder.path() / "a/b/file");
  EXPECT_TRUE(fs::is_directory(folder.path() / "a/b"));
  for (const char* name : {"/etc/passwd", "../file", "a/../../file", "a/..", "", ".", "a/"}) {
    expect_file_error(ErrorKind::kInvalidInput, folder.path(), [&] { OutputPath::inside(folder.path(), name); });
  }
  for (const char* name : {"/etc", "../folder", "a/../../folder", ""}) {
    expect_file_error(ErrorKind::kInvalidInput, folder.path(), [&] { output_folder_inside(folder.path(), name); });
  }
}

TEST(OutputPath, InsideAFolderNoLinkIsFollowed) {
  const test::TemporaryFolder folder, users;
  write_file(users.path() / "file", "the user's");
  fs::create_directory_symlink(users.path(), folder.path() / "tower");
  fs::create_symlink(users.path() / "file", folder.path() / "file");
  fs::create_symlink(users.path() / "new", folder.path() / "dangling");
  for (const char* name : {"tower/file", "tower/new", "file", "dangling"}) {
    expect_file_error(ErrorKind::kInvalidInput, folder.path(), [&] { OutputPath::inside(folder.path(), name); });
  }
  EXPECT_THAT(names_in(users.path()), ElementsAre("file"));
  EXPECT_EQ(read_file(users.path() / "file"), "the user's");
}

TEST(OutputPath, ThroughALinkThatTheUserNamedItsTargetIsWrittenAndTheLinkStays) {
  const test::TemporaryFolder folder;
  fs::create_directory(folder.path() / "real");
  write_file(folder.path() / "real/target", "old");
  fs::create_symlink("real/target", folder.path() / "link");
  fs::create_symlink("real/new", folder.path() / "to_nothing_yet");
  write_file(folder.path() / "link", "new");
  write_file(folder.path() / "to_nothing_yet", "made");
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
  EXPECT_EQ(read_file(folder.path() / "real/target"), "new");
  EXPECT_EQ(read_file(folder.path() / "real/new"), "made");
}

TEST(OutputPath, WhatIsNoFileIsRefusedAndLeftAlone) {
  const test::TemporaryFolder folder;
  fs::create_directory(folder.path() / "folder");
  ASSERT_EQ(::mkfifo((folder.path() / "pipe").c_str(), 0600), 0);
  fs::create_symlink("loop", folder.path() / "loop");
  fs::create_symlink("pipe", folder.path() / "to_pipe");
  for (const char* name : {"folder", "pipe", "loop", "to_pipe"}) {
    const fs::path path = folder.path() / name;
    expect_file_error(ErrorKind::kInvalidInput, path, [&] { OutputPath::named(path, Existing::kReplace); });
  }
  expect_file_error(ErrorKind::kInvalidInput, "", [] { OutputPath::named("", Existing::kReplace); });
  EXPECT_TRUE(fs::is_fifo(folder.path() / "pipe"));
}

TEST(OutputPath, AFileOfTheUsersIsReplacedOnRequestOnly) {
  const test::TemporaryFolder folder;
  const fs::path mine = folder.path() / "mine", report = folder.path() / "report", empty = folder.path() / "empty";
  write_file(mine, "years of work");
  write_file(report, "<html><meta content=\"striate\">");
  write_file(empty, "");
  const std::string mark = "content=\"striate\"";
  for (const Existing existing : {Existing::kKeep, Existing::kOurs}) {
    expect_file_error(ErrorKind::kInvalidInput, mine, [&] { OutputPath::named(mine, existing, mark); });
    EXPECT_NO_THROW(OutputPath::named(empty, existing, mark));
  }
  expect_file_error(ErrorKind::kInvalidInput, report, [&] { OutputPath::named(report, Existing::kKeep, mark); });
  EXPECT_NO_THROW(OutputPath::named(report, Existing::kOurs, mark));
  EXPECT_NO_THROW(OutputPath::named(mine, Existing::kReplace));
}

}  // namespace
}  // namespace striate

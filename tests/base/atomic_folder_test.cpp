#include "striate/base/atomic_folder.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/output_path.h"
#include "striate/base/process_lock.h"
#include "striate/base/sha256.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

TEST(AtomicFolder, AppearsOnlyWhenCommitted) {
  const test::TemporaryFolder home;
  const fs::path out = home.path() / "deep" / "folder";
  AtomicFolder folder(out);
  fs::create_directories(folder.path() / "inner");
  write_file(folder.path() / "inner" / "file", "x");
  EXPECT_FALSE(fs::exists(out));
  folder.commit();
  EXPECT_EQ(read_file(out / "inner" / "file"), "x");
  EXPECT_EQ(std::distance(fs::directory_iterator(out.parent_path()), {}), 1);
}

TEST(AtomicFolder, LeavesNothingWithoutCommit) {
  const test::TemporaryFolder home;
  { const AtomicFolder folder(home.path() / "a"); }
  EXPECT_TRUE(fs::is_empty(home.path()));
}

TEST(AtomicFolder, ReplacesOnlyWhenAsked) {
  const test::TemporaryFolder home;
  const fs::path out = home.path() / "a";
  for (const char* content : {"old", "new"}) {
    AtomicFolder folder(out);
    write_file(folder.path() / content, content);
    folder.commit(true);
  }
  EXPECT_TRUE(fs::exists(out / "new"));
  EXPECT_FALSE(fs::exists(out / "old"));
  AtomicFolder third(out);
  EXPECT_ERROR(third.commit(), "cannot be moved into place");
  EXPECT_TRUE(fs::exists(out / "new"));
}

// A process that begins to build `out` and is killed.
void leave_half_built(const fs::path& out) {
  const pid_t process = ::fork();
  if (process == 0) {
    const auto* folder = new AtomicFolder(out);
    write_file(OutputPath::inside(folder->path(), "deep/half"), "x");
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(process, nullptr, 0);
}

std::ptrdiff_t count_in(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), {});
}

TEST(AtomicFolder, WhatAKilledProcessLeftIsRemovedAndNothingElse) {
  const test::TemporaryFolder home;
  const fs::path out = home.path() / "model";
  fs::create_directories(home.path() / ".model.tmp-Ab12Cd");
  write_file(home.path() / ".model.striate-tmp-notes", "a file of somebody else's");
  leave_half_built(out);
  leave_half_built(home.path() / "other");
  ASSERT_EQ(count_in(home.path()), 4);
  AtomicFolder(out).commit();
  EXPECT_EQ(count_in(home.path()), 4);  // its own leftover has gone, the model has come
  EXPECT_TRUE(fs::exists(out));
  clear_leftovers_in(home.path());
  EXPECT_EQ(count_in(home.path()), 3);
  EXPECT_TRUE(fs::exists(home.path() / ".model.tmp-Ab12Cd"));
  EXPECT_TRUE(fs::exists(home.path() / ".model.striate-tmp-notes"));
  clear_leftovers_in(home.path() / "absent");
}

TEST(AtomicFolder, IsRefusedWhileAnotherOneIsBuiltForTheSamePlace) {
  const test::TemporaryFolder home;
  AtomicFolder first(home.path() / "model");
  clear_leftovers_in(home.path());
  EXPECT_TRUE(fs::exists(first.path())) << "what lives is no leftover";
  try {
    AtomicFolder second(home.path() / "model");
    FAIL() << "two at once";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_NE(std::string(error.what()).find(std::to_string(::getpid())), std::string::npos) << error.what();
  }
  AtomicFolder other(home.path() / "another");
  first.commit();
}

TEST(FolderLock, BelongsToOneAndIsGoneWithItsOwner) {
  const test::TemporaryFolder home;
  {
    const FolderLock lock(home.path());
    EXPECT_NE(read_file(home.path() / FolderLock::kFile).find(std::to_string(::getpid())), std::string::npos);
    try {
      const FolderLock second(home.path());
      FAIL() << "two at once";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("process " + std::to_string(::getpid())), std::string::npos)
          << error.what();
    }
  }
  EXPECT_TRUE(fs::is_empty(home.path()));
  const pid_t process = ::fork();
  if (process == 0) {
    new FolderLock(home.path());
    ::kill(::getpid(), SIGKILL);
  }
  ::waitpid(process, nullptr, 0);
  EXPECT_EQ(count_in(home.path()), 1);
  EXPECT_NO_THROW(FolderLock(home.path())) << "the dead hold nothing";
  EXPECT_TRUE(fs::is_empty(home.path()));
}

TEST(FolderLock, WaitsForOneWhoOnlyLooks) {
  const test::TemporaryFolder home;
  write_file(home.path() / FolderLock::kFile, "");
  const int looking = ::open((home.path() / FolderLock::kFile).c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(try_lock(looking), LockState::kTaken);
  std::thread gone([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ::close(looking);
  });
  EXPECT_NO_THROW(FolderLock(home.path()));
  gone.join();
}

TEST(FileLock, LeavesTheOtherFilesOfItsFolderFree) {
  const test::TemporaryFolder home;
  {
    const FileLock lock(home.path() / "answers.jsonl");
    EXPECT_TRUE(fs::exists(home.path() / ".answers.jsonl.striate.lock"));
    EXPECT_ERROR(FileLock(home.path() / "answers.jsonl"), "answers.jsonl: another striate, process");
    EXPECT_NO_THROW(FileLock(home.path() / "others.jsonl"));
    EXPECT_NO_THROW(FileLock(home.path() / std::string(255, 'n')));
  }
  EXPECT_TRUE(fs::is_empty(home.path()));
}

TEST(Sha256, GivesTheStandardsOwnExamples) {
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, OfAFileIsThatOfItsBytes) {
  const test::TemporaryFolder home;
  write_file(home.path() / "file", "abc");
  EXPECT_EQ(sha256_of_file(home.path() / "file"), sha256_of("abc"));
  EXPECT_ERROR(sha256_of_file(home.path() / "absent"), "absent: no such file");
}

}  // namespace
}  // namespace striate

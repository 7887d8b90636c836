#include "striate/base/atomic_folder.h"

#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/sha256.h"
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
  EXPECT_THROW(third.commit(), Error);
  EXPECT_TRUE(fs::exists(out / "new"));
}

TEST(AtomicFolder, LeftoversAreRemovedAndNothingElse) {
  const test::TemporaryFolder home;
  fs::create_directories(home.path() / ".step-1.tmp-Ab12Cd");
  fs::create_directories(home.path() / "step-1");
  fs::create_directories(home.path() / ".hidden");
  write_file(home.path() / ".file.tmp-Ab12Cd", "a file of somebody else's");
  AtomicFolder::remove_leftovers(home.path());
  EXPECT_FALSE(fs::exists(home.path() / ".step-1.tmp-Ab12Cd"));
  EXPECT_TRUE(fs::exists(home.path() / "step-1"));
  EXPECT_TRUE(fs::exists(home.path() / ".hidden"));
  EXPECT_TRUE(fs::exists(home.path() / ".file.tmp-Ab12Cd"));
  AtomicFolder::remove_leftovers(home.path() / "absent");
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
  EXPECT_THROW(sha256_of_file(home.path() / "absent"), Error);
}

}  // namespace
}  // namespace striate

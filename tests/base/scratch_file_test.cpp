#include "striate/base/scratch_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "striate/base/error.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

TEST(ScratchFile, GivesBackWhatWasAppendedAndLeavesNothing) {
  const test::TemporaryFolder folder;
  const char* before = std::getenv("TMPDIR");
  const std::string restored = before == nullptr ? "" : before;
  setenv("TMPDIR", folder.path().c_str(), 1);
  {
    ScratchFile file;
    file.append("one ");
    file.append("two");
    std::string read(5, ' ');
    file.read_at(2, read);
    EXPECT_EQ(read, "e two");
    EXPECT_THROW(file.read_at(3, read), Error);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  }
  if (before == nullptr) {
    unsetenv("TMPDIR");
  } else {
    setenv("TMPDIR", restored.c_str(), 1);
  }
}

}  // namespace
}  // namespace striate

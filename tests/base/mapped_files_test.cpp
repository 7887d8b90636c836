#include "striate/base/mapped_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/output_file.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using testing::HasSubstr;

// Reads the last byte of a file of two pages that is cut to one after it was mapped.
void read_what_was_cut(const std::filesystem::path& path) {
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  write_file(path, std::string(2 * page, 'x'));
  const auto file = MappedFile::open(path);
  std::filesystem::resize_file(path, page);
  const volatile std::byte* last = &file->bytes().back();
  static_cast<void>(*last);
}

TEST(MappedFiles, AnAddressIsKnownWhileItsFileIsMapped) {
  const test::TemporaryFolder folder;
  write_file(folder.path() / "one", "12345");
  write_file(folder.path() / "two\n", "12345");
  const auto one = MappedFile::open(folder.path() / "one");
  const std::byte* gone = nullptr;
  {
    const auto two = MappedFile::open(folder.path() / "two\n");
    gone = two->bytes().data();
    EXPECT_EQ(mapped_file_at(&one->bytes().front()), (folder.path() / "one").string());
    EXPECT_EQ(mapped_file_at(&one->bytes().back()), (folder.path() / "one").string());
    EXPECT_THAT(mapped_file_at(gone), testing::EndsWith("two\\u000a"));
  }
  EXPECT_EQ(mapped_file_at(gone), nullptr);
  EXPECT_EQ(mapped_file_at(&folder), nullptr);
}

TEST(MappedFiles, AFileCutWhileItIsCopiedIsNamed) {
  const test::TemporaryFolder folder;
  const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  write_file(folder.path() / "source", std::string(2 * page, 'x'));
  const auto file = MappedFile::open(folder.path() / "source");
  std::filesystem::resize_file(folder.path() / "source", page);
  AtomicFile copy(OutputPath::named(folder.path() / "copy", Existing::kKeep));
  try {
    copy.write(file->bytes());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 1);
    EXPECT_EQ(std::string(error.what()), (folder.path() / "source").string() + ": became shorter while it was read");
  }
}

TEST(MappedFilesDeathTest, AFileCutWhileItIsMappedIsNamed) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  EXPECT_EXIT(
      {
        explain_cut_files();
        read_what_was_cut(path);
      },
      testing::ExitedWithCode(1), HasSubstr("error: " + path.string() + ": became shorter while it was read\nhint: "));
}

TEST(MappedFilesDeathTest, AnotherBusErrorEndsTheProcessAsEver) {
  EXPECT_EXIT(
      {
        explain_cut_files();
        std::raise(SIGBUS);
        std::raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace striate

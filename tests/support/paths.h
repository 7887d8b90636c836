// Where the tests find reference data, and folders of their own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

namespace striate::test {

// $STRIATE_TESTDATA, else $STRIATE_SHARED/testdata, else ../shared/testdata beside the checkout; nullopt when absent.
std::optional<std::filesystem::path> testdata();
// $STRIATE_GOLDENS, else $STRIATE_SHARED/goldens, else ../shared/goldens beside the checkout; nullopt when absent.
std::optional<std::filesystem::path> goldens();

// A fresh empty folder, removed when the object goes.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace striate::test

// Skips the test, saying why, where the reference data is not there.
#define STRIATE_REQUIRE_TESTDATA() \
  if (!striate::test::testdata()) GTEST_SKIP() << "no reference data: set STRIATE_TESTDATA or STRIATE_SHARED"
#define STRIATE_REQUIRE_GOLDENS() \
  if (!striate::test::goldens()) GTEST_SKIP() << "no goldens: set STRIATE_GOLDENS or STRIATE_SHARED"

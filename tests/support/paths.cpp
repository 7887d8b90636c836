#include "tests/support/paths.h"

#include <cstdlib>
#include <stdexcept>

namespace striate::test {
namespace {

std::optional<std::filesystem::path> reference(const char* variable, const char* folder) {
  std::filesystem::path path;
  if (const char* named = std::getenv(variable)) {
    path = named;
  } else if (const char* shared = std::getenv("STRIATE_SHARED")) {
    path = std::filesystem::path(shared) / folder;
  } else {
    path = std::filesystem::path(STRIATE_SOURCE_DIR) / ".." / "shared" / folder;
  }
  if (!std::filesystem::is_directory(path)) return std::nullopt;
  return std::filesystem::canonical(path);
}

}  // namespace

std::optional<std::filesystem::path> testdata() {
  return reference("STRIATE_TESTDATA", "testdata");
}

std::optional<std::filesystem::path> goldens() {
  return reference("STRIATE_GOLDENS", "goldens");
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "striate-test-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace striate::test

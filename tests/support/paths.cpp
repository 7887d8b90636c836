#include "tests/support/paths.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace striate::test {
namespace {

std::filesystem::path reference() {
  return sources() / "tests" / "reference";
}

}  // namespace

std::filesystem::path testdata(const std::string& name) {
  if (const char* named = std::getenv("STRIATE_TESTDATA")) {
    const std::filesystem::path theirs = std::filesystem::path(named) / name;
    if (std::filesystem::exists(theirs)) return theirs;
  }
  return reference() / "testdata" / name;
}

bool has_tokenizer(const std::string& name) {
  return std::filesystem::exists(testdata("tokenizers/" + name));
}

std::filesystem::path goldens() {
  const char* named = std::getenv("STRIATE_GOLDENS");
  return named != nullptr ? std::filesystem::path(named) : reference() / "goldens";
}

std::vector<std::filesystem::path> golden_models() {
  std::vector<std::filesystem::path> models;
  if (!std::filesystem::is_directory(goldens())) return models;
  for (const auto& entry : std::filesystem::directory_iterator(goldens())) {
    if (std::filesystem::exists(entry.path() / "model" / "config.json")) models.push_back(entry.path() / "model");
  }
  std::sort(models.begin(), models.end());
  return models;
}

std::filesystem::path sources() {
  return STRIATE_SOURCE_DIR;
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

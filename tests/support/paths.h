// Where the tests find reference data, and folders of their own.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "striate/base/output_file.h"

namespace striate::test {

// A file or folder of the test data: $STRIATE_TESTDATA/<name> where that is there, else tests/reference/testdata/<name>
// (which may be absent, too: Llama's own tokenizers are not in the repository).
std::filesystem::path testdata(const std::string& name);
// The folder of the goldens: $STRIATE_GOLDENS, else tests/reference/goldens.
std::filesystem::path goldens();

// The checkpoints of the goldens, sorted: every <case>/model.
std::vector<std::filesystem::path> golden_models();

// The root of the checkout.
std::filesystem::path sources();

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

namespace striate {

// What tests write anywhere: the library itself writes at checked places alone (base/output_path.h).
inline OutputPath anywhere(const std::filesystem::path& path) {
  return OutputPath::named(path, Existing::kReplace);
}
inline void write_file(const std::filesystem::path& path, std::string_view text) {
  write_file(anywhere(path), text);
}

}  // namespace striate

namespace striate::test {

// Whether a tokenizer of the test data is there, such as "llama2": Llama's own are not in the repository.
bool has_tokenizer(const std::string& name);

}  // namespace striate::test

// Skips the test where a tokenizer of Llama's is absent, and says that the others that need it are left out, too.
#define STRIATE_REQUIRE_LLAMA(name)                                                                                   \
  if (!striate::test::has_tokenizer(name))                                                                            \
  GTEST_SKIP() << "nothing is tested with tokenizers/" << (name)                                                      \
               << ", which its licence keeps out of this repository: put it in a folder that STRIATE_TESTDATA names " \
                  "(tests/reference/README.md)"

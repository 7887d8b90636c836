// Where the reference data of scoring is: in STRIATE_TESTDATA where that has it, else in the repository.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/support/paths.h"

namespace striate::test {

// The file or folder of this name, which need not exist.
inline std::filesystem::path scoring_reference(const std::string& name) {
  const char* folder = std::getenv("STRIATE_TESTDATA");
  if (folder != nullptr && std::filesystem::exists(std::filesystem::path(folder) / name)) {
    return std::filesystem::path(folder) / name;
  }
  return sources() / "tests/reference/testdata" / name;
}

}  // namespace striate::test

// The list of samples that training left out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <vector>

#include "striate/data/sample_check.h"

namespace striate {

// Appends one JSON object a line: {"sample", "line", "id", "reason", "message"}; a sample that the file names already
// is not named again, whichever epoch or run it comes from.
class BadSampleLog {
 public:
  // Nothing is written until there is something to write. An empty path: never.
  explicit BadSampleLog(std::filesystem::path file);
  // Throws ResourceError when the file cannot be written.
  void add(const std::vector<SkippedSample>& skipped);

 private:
  std::filesystem::path file_;
  std::set<std::int64_t> named_;
};

// The same list, of all of them, in a file of its own that appears whole.
void write_bad_samples(const std::filesystem::path& file, const std::vector<SkippedSample>& skipped);

}  // namespace striate

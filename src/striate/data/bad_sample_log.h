// The list of samples that training left out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string_view>
#include <vector>

#include "striate/base/output_file.h"
#include "striate/data/sample_check.h"

namespace striate {

// Appends one JSON object per line: {"sample", "line", "id", "reason", "message", "hint"}; a sample that the file names
// already is not named again, whichever epoch or run it comes from.
class BadSampleLog {
 public:
  // The file is created with the first bad sample. With an empty path nothing is written.
  explicit BadSampleLog(std::filesystem::path file);
  // Throws ResourceError when the file cannot be written.
  void add(const std::vector<SkippedSample>& skipped);

 private:
  std::filesystem::path file_;
  std::set<std::int64_t> named_;
};

// A mark near the beginning of every list, by which an earlier list is recognised (OutputPath::named): how an entry
// ends. A member's name alone would not do, since a user's own data may have a member of that name.
inline constexpr std::string_view kBadSampleMark = "\",\"sample\":";

// Writes the list of all these samples into `file` and commits it.
void write_bad_samples(AtomicFile& file, const std::vector<SkippedSample>& skipped);

}  // namespace striate

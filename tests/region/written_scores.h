#pragma once

#include <filesystem>

#include "striate/base/output_file.h"
#include "striate/region/score_file.h"
#include "tests/support/paths.h"

namespace striate {

inline void write_scores(const ScoreFile& scores, const std::filesystem::path& path) {
  AtomicFile file(anywhere(path));
  write_score_file(scores, file);
}

}  // namespace striate

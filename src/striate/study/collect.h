// What the finished cells of a study have measured, as one StudyResults.
#pragma once

#include "striate/study/results.h"
#include "striate/study/study.h"

namespace striate::study {

// Reads the folders of all cells that are done; those that are not are counted, and those that failed named. Throws
// what reading scores, metrics and questions throws.
StudyResults collect_results(const Study& study);
// The same of a folder that was begun.
StudyResults collect_results(const std::filesystem::path& folder);

}  // namespace striate::study

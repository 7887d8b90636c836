// results.json: what a study has measured, as a file that other programs can read.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "striate/base/output_path.h"
#include "striate/study/results.h"

namespace striate::study {

// The file's text: one JSON object, "format": "striate-study-results".
std::string results_text(const StudyResults& results);

// The results in such a text; `where` names it in messages. Every list fits the others: a model has one score and one
// answer for each question of a benchmark, layers lie in their decoder. Throws CorruptData that names the place.
StudyResults parse_results(std::string_view text, const std::string& where);

void write_results(const StudyResults& results, const OutputPath& path);
// Throws what read_file() and parse_results() throw.
StudyResults read_results(const std::filesystem::path& path);

}  // namespace striate::study

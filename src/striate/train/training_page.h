// The page of a training run (report.html): losses, rates, held-out scores, region, speed and answers, from the run's
// own records.
#pragma once

#include <filesystem>
#include <string>

namespace striate {

// The file's name in a run's folder.
inline constexpr const char* kTrainingPageFile = "report.html";

// Of run.json, metrics.jsonl and the latest file of eval/ in a run's folder; lines that are no JSON are passed over.
// Throws InvalidInput where there is no run.json, CorruptData where it is damaged.
std::string training_page(const std::filesystem::path& run);

// The page, written into the run's folder.
void write_training_page(const std::filesystem::path& run);

}  // namespace striate

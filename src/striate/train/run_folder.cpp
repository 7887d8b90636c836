#include "striate/train/run_folder.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/output_path.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/train/metrics.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecord = "run.json";
constexpr const char* kCheckpoints = "checkpoints";

// What a run has in its folder before its first checkpoint.
constexpr std::array<std::string_view, 6> kBeforeCheckpoints = {kRecord,       kMetricsFile, "bad_samples.jsonl",
                                                                "tensorboard", "eval",       kCheckpoints};

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& path : entries_of(folder)) names.push_back(path.filename().string());
  std::erase(names, FolderLock::kFile);
  return names;
}

bool holds(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_empty_or_absent(const fs::path& folder) {
  return !path_exists(folder) || names_in(folder).empty();
}

// A run that was stopped, or failed, with nothing to go on from.
bool ended_before_a_checkpoint(const fs::path& out, const std::vector<std::string>& names) {
  const bool known = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return std::find(kBeforeCheckpoints.begin(), kBeforeCheckpoints.end(), name) != kBeforeCheckpoints.end();
  });
  return known && holds(names, kRecord) && is_empty_or_absent(out / kCheckpoints);
}

void check_contents(const fs::path& out, bool resume, const Notes& notes) {
  const std::vector<std::string> names = names_in(out);
  if (names.empty()) return;
  const bool run = holds(names, kRecord) || holds(names, kCheckpoints);
  if (!run) {
    throw invalid_input(cat("`out` ", out.string(), ": exists and is not empty"), "give the name of a new folder");
  }
  if (resume) return;
  if (!ended_before_a_checkpoint(out, names)) {
    throw invalid_input(cat("`out` ", out.string(), ": the folder already has a run"),
                        "continue it with `resume`, or give the name of a new folder");
  }
  notes.tell(cat(out.string(), ": the run in this folder ended before its first checkpoint; this run replaces it"));
  for (const std::string_view name : kBeforeCheckpoints) {
    std::error_code failed;
    fs::remove_all(out / name, failed);
  }
}

}  // namespace

RunFolder::RunFolder(const fs::path& out, bool resume, const Notes& notes) : out_(out) {
  if (out.empty()) throw invalid_input("no `out` folder was given", "give a folder for the run: `out` DIR");
  made_ = !path_exists(out);
  if (!made_ && !is_folder(out)) {
    throw invalid_input(cat("`out` ", out.string(), ": exists and is not a folder"), "give the name of a new folder");
  }
  make_folders(out);
  lock_ = std::make_unique<const FolderLock>(out);
  clear_leftovers_in(out);
  clear_leftovers_in(out / kCheckpoints);
  check_contents(out, resume, notes);
}

RunFolder::~RunFolder() {
  lock_.reset();
  std::error_code ignored;
  if (made_ && fs::is_empty(out_, ignored)) fs::remove(out_, ignored);
}

}  // namespace striate

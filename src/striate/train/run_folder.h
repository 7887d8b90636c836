// The folder that a run is written to: one run's, and one process's at a time.
#pragma once

#include <filesystem>
#include <memory>

#include "striate/base/notes.h"
#include "striate/base/process_lock.h"

namespace striate {

// Taken before anything is loaded, kept until the run has ended. Made where it is missing; what killed processes left
// half-written in it is removed. A run that ended before its first checkpoint leaves nothing worth keeping: its files
// are removed, so that a corrected command can begin in the same folder. A folder that was made here and is still empty
// at the end is removed again.
class RunFolder {
 public:
  // Throws InvalidInput when another process is writing there; when `out` is not a folder; when it holds a run with
  // checkpoints or a result and `resume` is not set; when it holds anything that is not part of a run. Resource when
  // the file system refuses. The notes say when files of a run that ended early are replaced.
  RunFolder(const std::filesystem::path& out, bool resume, const Notes& notes);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

 private:
  std::filesystem::path out_;
  bool made_ = false;
  std::unique_ptr<const FolderLock> lock_;
};

}  // namespace striate

// Locks that show whether a process is alive: the system releases them when the process ends, however it ends.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace striate {

// The result of trying to take a lock.
enum class LockState {
  kTaken,        // it is ours until the descriptor is closed
  kHeld,         // another process (or another descriptor of this one) has it
  kUnsupported,  // the file system has no locks: nothing is known
};

// Tries for the exclusive lock of an open file or folder (flock(2)); does not wait.
LockState try_lock(int descriptor);

// A whole folder that one process writes to for a long time, such as a run's. The lock is the file .striate.lock in it,
// which names the process and goes when the lock is released; a killed process leaves the file, but not the lock.
class FolderLock {
 public:
  static constexpr const char* kFile = ".striate.lock";

  // Throws InvalidInput when another process holds the folder, naming it; Resource when the file cannot be made.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace striate

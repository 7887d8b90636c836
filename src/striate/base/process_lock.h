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

// A lock that is a file of its own, which names the process and goes when the lock is released; a killed process leaves
// the file, but not the lock.
class LockFile {
 public:
  // `guarded` is what the lock is for, in messages. Throws InvalidInput when another process holds it for longer than a
  // fifth of a second (try_lock() takes it for a moment to see whether it is held), naming it; Resource when the file
  // cannot be made.
  LockFile(std::filesystem::path file, const std::filesystem::path& guarded);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

// A whole folder that one process writes to for a long time, such as a run's. The lock is .striate.lock in it.
class FolderLock : public LockFile {
 public:
  static constexpr const char* kFile = ".striate.lock";

  explicit FolderLock(const std::filesystem::path& folder) : LockFile(folder / kFile, folder) {}
};

// One file that a process adds to for a long time in a folder of the user's. The lock is .NAME.striate.lock beside it.
class FileLock : public LockFile {
 public:
  explicit FileLock(const std::filesystem::path& file);
};

}  // namespace striate

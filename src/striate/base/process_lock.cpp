#include "striate/base/process_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

std::string host_name() {
  std::array<char, 256> host{};
  return ::gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "";
}

// "process 123 on HOST", as the holder of the lock wrote it.
std::string holder_of(int descriptor) {
  std::array<char, 300> text{};
  const ssize_t count = ::pread(descriptor, text.data(), text.size() - 1, 0);
  const std::string_view told = count > 0 ? trim(text.data()) : std::string_view();
  return told.empty() ? "another process" : cat("another striate, ", told, ",");
}

// Whether the open file still stands under its name: the one who held the lock before may have removed it.
bool still_there(int descriptor, const std::filesystem::path& file) {
  struct stat open {};
  struct stat named {};
  return ::fstat(descriptor, &open) == 0 && ::stat(file.c_str(), &named) == 0 && open.st_ino == named.st_ino &&
         open.st_dev == named.st_dev;
}

// ".NAME.striate.lock" in the file's folder; of a long name the beginning, so that the whole stays below 255 bytes.
std::filesystem::path lock_beside(const std::filesystem::path& file) {
  constexpr std::size_t kLongestName = 180;
  return folder_of(file) / cat(".", file.filename().string().substr(0, kLongestName), FolderLock::kFile);
}

// Of a lock that someone may hold for a moment, only to see whether another one does: it is tried again for a while.
LockState take_lock(int descriptor) {
  constexpr int kTries = 10;
  constexpr std::chrono::milliseconds kPause(20);
  LockState state = try_lock(descriptor);
  for (int tries = 1; state == LockState::kHeld && tries < kTries; ++tries) {
    std::this_thread::sleep_for(kPause);
    state = try_lock(descriptor);
  }
  return state;
}

}  // namespace

LockState try_lock(int descriptor) {
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    return errno == EWOULDBLOCK ? LockState::kHeld : LockState::kUnsupported;
  }
  return LockState::kTaken;
}

LockFile::LockFile(std::filesystem::path file, const std::filesystem::path& guarded) : file_(std::move(file)) {
  for (;;) {
    descriptor_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (descriptor_ < 0) {
      throw resource_error(cat(file_.string(), ": cannot be created: ", std::strerror(errno)),
                           "check that the folder is writable");
    }
    const LockState state = take_lock(descriptor_);
    if (state == LockState::kHeld) {
      const std::string holder = holder_of(descriptor_);
      ::close(descriptor_);
      throw invalid_input(cat(guarded.string(), ": ", holder, " is writing to it"),
                          "wait until it ends, or give another `out`");
    }
    if (still_there(descriptor_, file_)) break;
    ::close(descriptor_);
  }
  const std::string told = cat("process ", ::getpid(), " on ", host_name(), "\n");
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, told.data(), told.size(), 0) < 0) {
    const int why = errno;
    ::close(descriptor_);
    throw resource_error(cat(file_.string(), ": ", std::strerror(why)), "check the free disk space");
  }
}

LockFile::~LockFile() {
  ::unlink(file_.c_str());  // before the lock goes: whoever opens the name from now on makes a new file
  ::close(descriptor_);
}

FileLock::FileLock(const std::filesystem::path& file) : LockFile(lock_beside(file), file) {}

}  // namespace striate

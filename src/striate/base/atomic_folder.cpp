#include "striate/base/atomic_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "striate/base/error.h"
#include "striate/base/output_path.h"
#include "striate/base/paths.h"
#include "striate/base/process_lock.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

struct Building {
  fs::path path;
  int lock;
};

// A locked folder beside `destination` under a name that no other process uses.
Building make_building(const fs::path& destination) {
  for (;;) {
    std::string name = temporary_pattern(destination);
    if (::mkdtemp(name.data()) == nullptr) {
      throw resource_error(cat(destination.string(), ": cannot be created: ", std::strerror(errno)),
                           "check that the folder above it exists and is writable");
    }
    const int lock = ::open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0) {
      try_lock(lock);
      struct stat status {};
      if (::fstat(lock, &status) == 0 && status.st_nlink > 0) return {name, lock};
      ::close(lock);
    } else if (errno != ENOENT) {
      throw resource_error(cat(destination.string(), ": cannot be created: ", std::strerror(errno)),
                           "check that the folder above it is readable");
    }
    // Before it was locked, another process took it for a leftover and removed it.
  }
}

// Afterwards `destination` is what `path` was, and `path` holds what stood at the destination, where that is replaced.
std::error_code move_into_place(const fs::path& path, const fs::path& destination, bool replace) {
  if (replace && ::renameat2(AT_FDCWD, path.c_str(), AT_FDCWD, destination.c_str(), RENAME_EXCHANGE) == 0) return {};
  std::error_code failed;
  if (replace && errno == EINVAL) fs::remove_all(destination, failed);  // a file system that cannot exchange
  if (!failed) fs::rename(path, destination, failed);
  return failed;
}

}  // namespace

fs::path free_destination(const fs::path& out) {
  fs::path path = out.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.empty() || path == "." || path == "..") {
    throw invalid_input(cat("`out` ", out.string(), " is not a folder that can be created"),
                        "give the name of a new folder");
  }
  std::error_code ignored;
  const fs::file_status status = fs::symlink_status(path, ignored);
  if (status.type() == fs::file_type::none) {
    throw invalid_input(cat("`out` ", path.string(), ": ", ignored.message()), "give the name of a new folder");
  }
  if (!fs::exists(status)) return path;
  if (!fs::is_directory(status)) {
    throw invalid_input(path.string() + ": exists and is not a folder", "give the name of a new folder");
  }
  if (!fs::is_empty(path, ignored)) {
    throw invalid_input(path.string() + ": exists and is not empty", "give a new name, or remove the folder first");
  }
  return path;
}

void require_space(const fs::path& folder, std::uint64_t bytes) {
  std::error_code failed;
  const fs::space_info space = fs::space(folder, failed);
  if (failed || space.available >= bytes) return;
  throw resource_error(cat(folder.parent_path().string(), ": ", human_bytes(space.available),
                           " are free, but the model needs ", human_bytes(bytes)),
                       "free some disk space, or choose a smaller model");
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

AtomicFolder::AtomicFolder(fs::path destination) : destination_(std::move(destination)) {
  make_folders(folder_of(destination_));
  if (const std::int64_t process = clear_leftovers_of(destination_)) {
    throw invalid_input(cat(destination_.string(), ": another striate (process ", process, ") is writing to it"),
                        "wait until it ends, or give another name");
  }
  const Building building = make_building(destination_);
  path_ = building.path;
  lock_ = building.lock;
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

void AtomicFolder::commit(bool replace) {
  std::error_code failed;
  fs::permissions(path_, fs::perms(0755), failed);
  for (fs::recursive_directory_iterator entry(path_, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code unknown;
    if (entry->is_directory(unknown)) sync_folder(entry->path());
  }
  sync_folder(path_);
  if (!failed) failed = move_into_place(path_, destination_, replace);
  if (failed) {
    throw resource_error(cat(destination_.string(), ": cannot be moved into place: ", failed.message()),
                         "check whether another program created it meanwhile");
  }
  sync_folder(folder_of(destination_));
  fs::remove_all(path_, failed);  // what was replaced, if anything
  path_.clear();
}

}  // namespace striate

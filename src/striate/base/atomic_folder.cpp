#include "striate/base/atomic_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".tmp-";

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

// A name beside `destination` that no other process uses.
fs::path hidden_folder(const fs::path& destination) {
  std::error_code failed;
  fs::create_directories(parent_of(destination), failed);
  std::string pattern = (parent_of(destination) / cat(".", destination.filename().string(), kMark, "XXXXXX")).string();
  if (failed || ::mkdtemp(pattern.data()) == nullptr) {
    const std::string why = failed ? failed.message() : std::strerror(errno);
    throw resource_error(cat(destination.string(), ": cannot be made: ", why),
                         "check that the folder above it exists and is writable");
  }
  return pattern;
}

}  // namespace

// `out` without a trailing slash; refuses what is in use.
fs::path free_destination(const fs::path& out) {
  fs::path path = out.lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (path.empty() || path == "." || path == "..") {
    throw invalid_input(cat("--out ", out.string(), ": not a folder to make"), "give the name of a new folder");
  }
  std::error_code ignored;
  if (!fs::exists(fs::symlink_status(path, ignored))) return path;
  if (!fs::is_directory(path, ignored)) {
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
  throw resource_error(cat(folder.parent_path().string(), ": ", human_bytes(space.available), " free, the model needs ",
                           human_bytes(bytes)),
                       "free some room on the disk, or choose a smaller model");
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

AtomicFolder::AtomicFolder(fs::path destination) : destination_(std::move(destination)) {
  path_ = hidden_folder(destination_);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

void AtomicFolder::commit(bool replace) {
  fs::permissions(path_, fs::perms(0755));
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path_)) {
    if (entry.is_directory()) sync_folder(entry.path());
  }
  sync_folder(path_);
  fs::path old;
  std::error_code failed;
  if (replace && fs::exists(destination_)) {
    old = hidden_folder(destination_);
    fs::rename(destination_, old, failed);
  }
  if (!failed) fs::rename(path_, destination_, failed);
  if (failed) {
    throw resource_error(cat(destination_.string(), ": cannot be moved into place: ", failed.message()),
                         "did something appear there meanwhile?");
  }
  path_.clear();
  sync_folder(parent_of(destination_));
  if (!old.empty()) fs::remove_all(old, failed);
}

void AtomicFolder::remove_leftovers(const fs::path& parent) {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, ignored)) {
    const std::string name = entry.path().filename().string();
    const std::size_t mark = name.rfind(kMark);
    const bool ours = name.starts_with(".") && mark != std::string::npos && name.size() == mark + kMark.size() + 6;
    if (ours && entry.is_directory(ignored)) fs::remove_all(entry.path(), ignored);
  }
}

}  // namespace striate

#include "striate/base/paths.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

// A path as errors show it: a name of many pages says nothing more than its beginning.
std::string shown(const fs::path& path) {
  constexpr std::size_t kMost = 400;
  const std::string& text = path.native();
  return text.size() <= kMost ? text : cat(text.substr(0, kMost), "... (", text.size(), " bytes)");
}

// Nothing where there is nothing.
std::optional<struct stat> look_at(const fs::path& path) {
  check_path(path);
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return status;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw path_error(path, errno);
}

}  // namespace

void check_path(const fs::path& path) {
  const std::string& text = path.native();
  if (text.empty()) throw invalid_input("the path is empty", "give the name of a file or folder");
  if (text.find('\0') != std::string::npos) {
    throw invalid_input(cat(shown(path), ": the path contains a zero byte"), "remove it: no file can have such a name");
  }
  if (!is_valid_utf8(text)) throw invalid_input(cat(shown(path), ": the path is not UTF-8"), "rename it");
}

Error path_error(const fs::path& path, int error) {
  const std::string name = shown(path);
  switch (error) {
    case ENOENT:
      return invalid_input(cat(name, ": no such file or folder"), "check the path");
    case ENOTDIR:
      return invalid_input(cat(name, ": a part of this path is a file, not a folder"), "check the path");
    case ELOOP:
      return invalid_input(cat(name, ": a link that leads back to itself"), "make the link point to a file or folder");
    case ENAMETOOLONG:
      return invalid_input(cat(name, ": the name is too long"), "a name has at most 255 bytes, a whole path 4095");
    case EACCES:
    case EPERM:
      return invalid_input(cat(name, ": permission denied"), "check the permissions of it and of the folders above it");
    case EISDIR:
      return invalid_input(cat(name, ": a folder, not a file"), "give a file");
    case ENXIO:
    case ENODEV:
      return invalid_input(cat(name, ": not a regular file"), "give a file, not a pipe or a device");
    default:
      return resource_error(cat(name, ": ", std::strerror(error)), "the system reported this error: try again");
  }
}

PathKind path_kind(const fs::path& path) {
  const std::optional<struct stat> status = look_at(path);
  if (!status) return PathKind::kAbsent;
  if (S_ISREG(status->st_mode)) return PathKind::kFile;
  return S_ISDIR(status->st_mode) ? PathKind::kFolder : PathKind::kOther;
}

bool path_exists(const fs::path& path) {
  return path_kind(path) != PathKind::kAbsent;
}

bool is_file(const fs::path& path) {
  return path_kind(path) == PathKind::kFile;
}

bool is_folder(const fs::path& path) {
  return path_kind(path) == PathKind::kFolder;
}

std::uint64_t file_size_of(const fs::path& path) {
  const std::optional<struct stat> status = look_at(path);
  if (!status) throw path_error(path, ENOENT);
  if (!S_ISREG(status->st_mode)) throw path_error(path, S_ISDIR(status->st_mode) ? EISDIR : ENXIO);
  return static_cast<std::uint64_t>(status->st_size);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  check_path(folder);
  std::error_code failed;
  std::vector<fs::path> entries;
  for (fs::directory_iterator at(folder, failed), end; !failed && at != end; at.increment(failed)) {
    entries.push_back(at->path());
  }
  if (failed) throw path_error(folder, failed.value());
  std::sort(entries.begin(), entries.end());
  return entries;
}

fs::path full_path(const fs::path& path) {
  check_path(path);
  std::error_code failed;
  const fs::path whole = fs::absolute(path, failed);
  if (failed) throw path_error(path, failed.value());
  return whole.lexically_normal();
}

fs::path real_path(const fs::path& path) {
  check_path(path);
  std::error_code failed;
  const fs::path whole = fs::weakly_canonical(path, failed);
  if (failed) throw path_error(path, failed.value());
  return whole;
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

void make_folders(const fs::path& folder) {
  check_path(folder);
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (is_folder(folder)) return;
  if (path_exists(folder)) throw invalid_input(cat(shown(folder), ": a file, not a folder"), "give another folder");
  const int error = failed ? failed.value() : ENOENT;
  if (error == ELOOP || error == ENAMETOOLONG || error == ENOTDIR) throw path_error(folder, error);
  throw resource_error(cat(shown(folder), ": the folder cannot be created: ", std::strerror(error)),
                       "check the path and its permissions");
}

}  // namespace striate

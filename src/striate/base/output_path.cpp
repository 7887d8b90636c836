#include "striate/base/output_path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <optional>
#include <system_error>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/process_lock.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".striate-tmp-";
constexpr std::size_t kRandom = 6;            // characters that mkstemp(3) fills in
constexpr std::size_t kLongestStem = 180;     // of a temporary name: with the rest it stays below 255 bytes
constexpr std::size_t kMarkWithin = 1 << 16;  // bytes

// What the user can mend is InvalidInput, what the machine refuses Resource.
Error cannot(const std::string& what, const std::error_code& why, const std::string& hint) {
  const std::string message = cat(what, ": ", why.message());
  switch (why.value()) {
    case ENAMETOOLONG:
    case ENOTDIR:
    case ENOENT:
    case ELOOP:
    case EINVAL:
    case EEXIST:
      return invalid_input(message, hint);
    default:
      return resource_error(message, hint);
  }
}

// lstat(2): the thing itself, no link followed. An absent one has the mode 0.
mode_t mode_of(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return status.st_mode;
  if (errno == ENOENT) return 0;
  throw cannot(path.string(), std::error_code(errno, std::generic_category()), "check the path");
}

// Refuses names that could lead out of `folder` whatever stands there.
fs::path checked_name(const fs::path& folder, const fs::path& name) {
  const fs::path normal = name.lexically_normal();
  const bool climbs = std::any_of(name.begin(), name.end(), [](const fs::path& part) { return part == ".."; });
  if (name.empty() || name.is_absolute() || climbs || normal == "." || !normal.has_filename()) {
    throw invalid_input(cat("\"", name.string(), "\" is not the name of a file inside ", folder.string()),
                        "a name in the model's files leads outside the output folder: correct it");
  }
  return normal;
}

void refuse_link(const fs::path& path, const fs::path& folder) {
  if (!S_ISLNK(mode_of(path))) return;
  throw invalid_input(cat(path.string(), ": a symbolic link, which may lead out of ", folder.string()),
                      "remove the link, or give another `out`");
}

void make_folder_inside(const fs::path& path, const fs::path& folder) {
  refuse_link(path, folder);
  if (::mkdir(path.c_str(), 0777) == 0 || (errno == EEXIST && S_ISDIR(mode_of(path)))) return;
  throw cannot(cat(path.string(), ": cannot be made"), std::error_code(errno, std::generic_category()),
               "check that the folder above it is writable");
}

// The file or folder that a chain of links ends at, whether it exists or not.
fs::path link_target(const fs::path& path) {
  fs::path at = path;
  constexpr int kMostLinks = 40;  // as the system follows
  for (int i = 0; i < kMostLinks; ++i) {
    if (!S_ISLNK(mode_of(at))) return at;
    std::error_code failed;
    const fs::path to = fs::read_symlink(at, failed);
    if (failed) throw cannot(path.string(), failed, "check the link");
    at = to.is_absolute() ? to : folder_of(at) / to;
  }
  throw invalid_input(cat(path.string(), ": a link that leads to itself"), "remove the link, or give another name");
}

bool has_mark(const fs::path& file, std::string_view mark) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return false;
  std::string head(kMarkWithin, '\0');
  const ssize_t count = ::pread(descriptor, head.data(), head.size(), 0);
  ::close(descriptor);
  if (count <= 0) return false;
  head.resize(static_cast<std::size_t>(count));
  return !mark.empty() && head.find(mark) != std::string::npos;
}

void check_existing(const fs::path& file, const std::string& shown, Existing existing, std::string_view mark,
                    const std::string& hint) {
  struct stat status {};
  if (existing == Existing::kReplace || ::stat(file.c_str(), &status) != 0 || status.st_size == 0) return;
  if (existing == Existing::kOurs && has_mark(file, mark)) return;
  throw invalid_input(cat(shown, ": exists already"), hint);
}

// The beginning of every temporary name of `path`.
std::string stem_of(const fs::path& path) {
  std::string name = path.filename().string();
  if (name.size() > kLongestStem) name.resize(kLongestStem);
  return cat(".", name, kMark);
}

// The process in a temporary name; nullopt for other names.
std::optional<std::int64_t> process_in(std::string_view name) {
  const std::size_t mark = name.rfind(kMark);
  if (!name.starts_with('.') || mark == std::string_view::npos) return std::nullopt;
  const std::string_view rest = name.substr(mark + kMark.size());
  std::int64_t process = 0;
  const auto [end, bad] = std::from_chars(rest.data(), rest.data() + rest.size(), process);
  const auto digits = static_cast<std::size_t>(end - rest.data());
  if (bad != std::errc() || rest.size() != digits + 1 + kRandom || rest[digits] != '-') return std::nullopt;
  return process;
}

// Removes the temporary file or folder unless a living process holds it. Whether one does.
bool is_held(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor < 0) return false;
  const LockState state = try_lock(descriptor);
  if (state == LockState::kTaken) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  ::close(descriptor);
  return state == LockState::kHeld;
}

// A process that holds one of the temporary names in `folder` that begin so; what dead ones left is removed.
std::int64_t clear_leftovers(const fs::path& folder, const std::string& beginning) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(beginning) && process_in(name)) found.push_back(entry->path());
  }
  std::int64_t living = 0;
  for (const fs::path& path : found) {
    if (is_held(path)) living = *process_in(path.filename().string());
  }
  return living;
}

}  // namespace

OutputPath OutputPath::inside(const fs::path& folder, const fs::path& name) {
  const fs::path normal = checked_name(folder, name);
  if (mode_of(folder) == 0) make_folders(folder);
  fs::path at = folder;
  for (const fs::path& part : normal.parent_path()) make_folder_inside(at /= part, folder);
  at /= normal.filename();
  refuse_link(at, folder);
  const mode_t mode = mode_of(at);
  if (mode != 0 && !S_ISREG(mode)) {
    throw invalid_input(cat(at.string(), ": exists and is not a file"), "remove it, or give another `out`");
  }
  return {at, at.string(), false, false};
}

OutputPath OutputPath::named(const fs::path& path, Existing existing, std::string_view mark, const std::string& hint) {
  const std::string shown = path.string();
  if (path.empty() || !path.has_filename() || path.filename() == "." || path.filename() == "..") {
    throw invalid_input(cat("\"", shown, "\" is not a file name"), "give the name of the file to write");
  }
  const fs::path target = link_target(path);
  std::error_code failed;
  if (!fs::is_directory(folder_of(target), failed)) {
    throw invalid_input(cat(shown, ": there is no folder ", folder_of(target).string()), "create the folder first");
  }
  const mode_t mode = mode_of(target);
  if (S_ISCHR(mode)) return {target, shown, true, true};
  if (mode != 0 && !S_ISREG(mode)) {
    throw invalid_input(cat(shown, S_ISDIR(mode) ? ": a folder, not a file" : ": not a regular file"),
                        "give the name of a file");
  }
  check_existing(target, shown, existing, mark, hint);
  return {target, shown, false, true};
}

fs::path output_folder_inside(const fs::path& folder, const fs::path& name) {
  if (mode_of(folder) == 0) make_folders(folder);
  fs::path at = folder;
  for (const fs::path& part : checked_name(folder, name)) make_folder_inside(at /= part, folder);
  return at;
}

std::string temporary_pattern(const fs::path& path) {
  return (folder_of(path) / cat(stem_of(path), ::getpid(), "-", std::string(kRandom, 'X'))).string();
}

std::int64_t clear_leftovers_of(const fs::path& path) {
  return clear_leftovers(folder_of(path), stem_of(path));
}

void clear_leftovers_in(const fs::path& folder) {
  clear_leftovers(folder, ".");
}

}  // namespace striate

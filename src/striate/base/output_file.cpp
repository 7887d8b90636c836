#include "striate/base/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "striate/base/error.h"
#include "striate/base/mapped_files.h"
#include "striate/base/paths.h"
#include "striate/base/process_lock.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr const char* kCheckFolder = "check that the folder exists and is writable";

// What writing `bytes` to the file `shown` failed with.
Error write_error(int error, const std::byte* bytes, const std::string& shown, const char* hint) {
  const char* const source = error == EFAULT ? mapped_file_at(bytes) : nullptr;
  if (source != nullptr) {
    return resource_error(
        cat(source, ": became shorter while it was read"),
        "try again when no other program is writing it; if the file is incomplete, download it again");
  }
  if (error == EFBIG) {
    return resource_error(cat(shown, ": the file would exceed the limit on file sizes"), "raise the limit (ulimit -f)");
  }
  return resource_error(cat(shown, ": ", std::strerror(error)), hint);
}

// The whole of `bytes`, or an error that names the file.
void write_all(int descriptor, std::span<const std::byte> bytes, const std::string& shown, const char* hint) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw write_error(errno, bytes.data(), shown, hint);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

// A locked file of a name of its own beside `path`: the lock says that its process lives.
int make_temporary(const OutputPath& path, std::string& name) {
  for (;;) {
    name = temporary_pattern(path.path());
    const int descriptor = ::mkostemp(name.data(), O_CLOEXEC);
    if (descriptor < 0) {
      throw resource_error(cat(path.shown(), ": cannot be written: ", std::strerror(errno)), kCheckFolder);
    }
    try_lock(descriptor);
    // Between its making and its lock the file looks as if a dead process had left it: another may have removed it.
    struct stat status {};
    if (::fstat(descriptor, &status) == 0 && status.st_nlink > 0) return descriptor;
    ::close(descriptor);
  }
}

}  // namespace

AtomicFile::AtomicFile(const OutputPath& destination, Durability durability)
    : destination_(destination), durability_(durability) {
  if (destination.is_device()) {
    descriptor_ = ::open(destination.path().c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor_ < 0) {
      throw resource_error(cat(destination.shown(), ": cannot be written: ", std::strerror(errno)),
                           "check that the device is writable");
    }
    return;
  }
  if (destination.is_named()) {
    if (const std::int64_t process = clear_leftovers_of(destination.path())) {
      throw invalid_input(cat(destination.shown(), ": another striate (process ", process, ") is writing it"),
                          "wait until it ends, or give another name");
    }
  }
  std::string name;
  descriptor_ = make_temporary(destination, name);
  temporary_ = name;
  ::fchmod(descriptor_, 0644);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  ::close(descriptor_);
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write_all(descriptor_, bytes, destination_.shown(), "free some disk space; no incomplete file was left");
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit() {
  if (!temporary_.empty()) {
    const bool synced = durability_ == Durability::kCache || ::fsync(descriptor_) == 0;
    if (!synced || ::rename(temporary_.c_str(), destination_.path().c_str()) != 0) {
      throw resource_error(cat(destination_.shown(), ": ", std::strerror(errno)), "no incomplete file was left");
    }
  }
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0) throw resource_error(cat(destination_.shown(), ": ", std::strerror(errno)), kCheckFolder);
  if (temporary_.empty() || durability_ == Durability::kCache) return;
  const std::filesystem::path folder = folder_of(destination_.path());
  const int above = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (above < 0) return;
  ::fsync(above);
  ::close(above);
}

void write_file(const OutputPath& path, std::string_view text, Durability durability) {
  AtomicFile file(path, durability);
  file.write(text);
  file.commit();
}

AppendFile::AppendFile(const OutputPath& path) : shown_(path.shown()) {
  descriptor_ = ::open(path.path().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
  if (descriptor_ < 0) {
    throw resource_error(cat(shown_, ": cannot be written: ", std::strerror(errno)), kCheckFolder);
  }
}

AppendFile::~AppendFile() {
  ::close(descriptor_);
}

void AppendFile::append(std::string_view bytes) {
  write_all(descriptor_, std::as_bytes(std::span(bytes.data(), bytes.size())), shown_,
            "free some disk space, then continue with `resume`");
}

void AppendFile::sync() {
  ::fsync(descriptor_);
}

}  // namespace striate

#include "striate/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "striate/base/error.h"
#include "striate/base/mapped_files.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

struct OpenedFile {
  std::unique_ptr<Descriptor> descriptor;
  std::uint64_t size;
};

// Opens without waiting: a pipe that nobody writes to is refused like every other thing that is no regular file.
OpenedFile open_regular(const std::filesystem::path& path) {
  check_path(path);
  auto descriptor = std::make_unique<Descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (descriptor->get() < 0) throw path_error(path, errno);
  struct stat status {};
  if (::fstat(descriptor->get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw invalid_input(cat(path.string(), ": not a regular file"), "give a file, not a folder, a pipe or a device");
  }
  return {std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::uint64_t cap) {
  const OpenedFile file = open_regular(path);
  if (file.size > cap) {
    throw corrupt_data(cat(path.string(), ": ", human_bytes(file.size), ", more than the ", human_bytes(cap),
                           " that this kind of file may have"),
                       "check that it is the right file");
  }
  std::string text(file.size, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::read(file.descriptor->get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw resource_error(cat(path.string(), ": ", std::strerror(errno)), "check the disk, and try again");
    if (count == 0) {
      throw corrupt_data(cat(path.string(), ": became shorter while it was read"),
                         "try again when no other program is writing it");
    }
    done += static_cast<std::size_t>(count);
  }
  return text;
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const OpenedFile file = open_regular(path);
  const std::byte* data = nullptr;
  if (file.size > 0) {
    void* map = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.descriptor->get(), 0);
    if (map == MAP_FAILED) {
      throw resource_error(cat(path.string(), ": cannot be mapped: ", std::strerror(errno)),
                           "check the limit on the address space (ulimit -v)");
    }
    data = static_cast<const std::byte*>(map);
    remember_mapping(data, file.size, path);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, data, file.size));
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  forget_mapping(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace striate

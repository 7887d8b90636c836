#include "striate/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "striate/base/error.h"
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

OpenedFile open_regular(const std::filesystem::path& path) {
  auto descriptor = std::make_unique<Descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor->get() < 0) {
    throw invalid_input(cat(path.string(), ": ", std::strerror(errno)), "check the path and its permissions");
  }
  struct stat status {};
  if (::fstat(descriptor->get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw invalid_input(cat(path.string(), ": not a regular file"), "give a file, not a folder or a device");
  }
  return {std::move(descriptor), static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::uint64_t cap) {
  const OpenedFile file = open_regular(path);
  if (file.size > cap) {
    throw corrupt_data(cat(path.string(), ": ", human_bytes(file.size), ", more than the ", human_bytes(cap),
                           " this kind of file may have"),
                       "is it the right file?");
  }
  std::string text(file.size, '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::read(file.descriptor->get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw resource_error(cat(path.string(), ": ", std::strerror(errno)), "could not read the file");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  text.resize(done);
  return text;
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  const OpenedFile file = open_regular(path);
  const std::byte* data = nullptr;
  if (file.size > 0) {
    void* map = ::mmap(nullptr, file.size, PROT_READ, MAP_PRIVATE, file.descriptor->get(), 0);
    if (map == MAP_FAILED) {
      throw resource_error(cat(path.string(), ": cannot be mapped: ", std::strerror(errno)),
                           "is the address space limited (ulimit -v)?");
    }
    data = static_cast<const std::byte*>(map);
  }
  return std::shared_ptr<const MappedFile>(new MappedFile(path, data, file.size));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

AtomicFile::AtomicFile(std::filesystem::path destination) : destination_(std::move(destination)) {
  std::string pattern = destination_.string() + ".tmp-XXXXXX";
  descriptor_ = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (descriptor_ < 0) {
    throw resource_error(cat(destination_.string(), ": cannot be written: ", std::strerror(errno)),
                         "check that the folder exists and is writable");
  }
  temporary_ = pattern;
  ::fchmod(descriptor_, 0644);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      throw resource_error(cat(destination_.string(), ": ", std::strerror(errno)),
                           "free some room on the disk; nothing was left half-written");
    }
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0 || ::rename(temporary_.c_str(), destination_.c_str()) != 0) {
    throw resource_error(cat(destination_.string(), ": ", std::strerror(errno)), "nothing was left half-written");
  }
  ::close(descriptor_);
  descriptor_ = -1;
  std::filesystem::path folder = destination_.parent_path();
  if (folder.empty()) folder = ".";
  const Descriptor directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.get() >= 0) ::fsync(directory.get());
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace striate

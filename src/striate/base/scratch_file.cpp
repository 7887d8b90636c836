#include "striate/base/scratch_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr const char* kScratchHint = "name another folder for temporary files (TMPDIR), with more room";

std::string scratch_folder() {
  const char* const named = std::getenv("TMPDIR");
  return named == nullptr || *named == '\0' ? "/tmp" : named;
}

}  // namespace

ScratchFile::ScratchFile() {
  std::string name = scratch_folder() + "/striate-XXXXXX";
  descriptor_ = mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) throw resource_error(cat(name, ": cannot be written: ", std::strerror(errno)), kScratchHint);
  unlink(name.c_str());
}

ScratchFile::~ScratchFile() {
  close(descriptor_);
}

void ScratchFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw resource_error(cat(scratch_folder(), ": ", std::strerror(errno)), kScratchHint);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void ScratchFile::read_at(std::uint64_t offset, std::span<char> into) const {
  while (!into.empty()) {
    const ssize_t count = pread(descriptor_, into.data(), into.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) throw resource_error(cat(scratch_folder(), ": a temporary file cannot be read"), kScratchHint);
    offset += static_cast<std::uint64_t>(count);
    into = into.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace striate

// Folders that appear whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>

namespace striate {

// A folder built beside its destination, as `.NAME.striate-tmp-PROCESS-XXXXXX`, that moves there on commit(). Destroyed
// without commit(), it leaves nothing behind; what a killed process leaves is removed when the same destination is
// built again. Inside it, files are made at OutputPath::inside(folder.path(), name).
class AtomicFolder {
 public:
  // Makes the folders above `destination` where they are missing. Throws InvalidInput when another process is building
  // the same destination, or its name cannot be one; Resource when the file system refuses.
  explicit AtomicFolder(std::filesystem::path destination);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  // Where to write meanwhile.
  const std::filesystem::path& path() const { return path_; }
  // fsync of every folder inside (files are synced by who writes them: AtomicFile does), rename, fsync of the folder
  // above. What is at the destination stays (Resource) unless it is an empty folder, or `replace` is set.
  void commit(bool replace = false);

 private:
  std::filesystem::path destination_;
  std::filesystem::path path_;
  int lock_ = -1;  // on the folder itself, as long as it is being built
};

// `out` as the name of a folder that can be made, for AtomicFolder. Throws InvalidInput when it names none ("", "."),
// or something is there already, other than an empty folder.
std::filesystem::path free_destination(const std::filesystem::path& out);

// Throws Resource when the file system of `folder`, which is built for its parent, has less than `bytes` free.
void require_space(const std::filesystem::path& folder, std::uint64_t bytes);

// Makes a folder's list of names durable. Does nothing where the file system cannot.
void sync_folder(const std::filesystem::path& folder);

}  // namespace striate

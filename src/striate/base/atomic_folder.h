// Folders that appear whole or not at all.
#pragma once

#include <cstdint>
#include <filesystem>

namespace striate {

// A folder built beside its destination, as `.NAME.tmp-XXXXXX`, that moves there on commit(). Destroyed without
// commit(), it leaves nothing behind; a killed process leaves the hidden folder, which remove_leftovers() finds.
class AtomicFolder {
 public:
  // Makes the folders above `destination` where they are missing. Throws ResourceError when that cannot be done.
  explicit AtomicFolder(std::filesystem::path destination);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  // Where to write meanwhile.
  const std::filesystem::path& path() const { return path_; }
  // fsync of every folder inside (files are synced by who writes them: AtomicFile does), rename, fsync of the folder
  // above. What is at the destination stays (ResourceError) unless it is an empty folder, or `replace` is set.
  void commit(bool replace = false);

  // Deletes what killed processes left behind while they built folders beside others in `parent`.
  static void remove_leftovers(const std::filesystem::path& parent);

 private:
  std::filesystem::path destination_;
  std::filesystem::path path_;
};

// `out` as the name of a folder that can be made, for AtomicFolder. Throws InvalidInput when it names none ("", "."),
// or something is there already, other than an empty folder.
std::filesystem::path free_destination(const std::filesystem::path& out);

// Throws Resource when the file system of `folder`, which is built for its parent, has less than `bytes` free.
void require_space(const std::filesystem::path& folder, std::uint64_t bytes);

// Makes a folder's list of names durable. Does nothing where the file system cannot.
void sync_folder(const std::filesystem::path& folder);

}  // namespace striate

// The folder that a benchmark's files lie in, as `data` names it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/error.h"

namespace striate {

// A file that a benchmark reads.
struct NeededFile {
  std::vector<std::string> names;  // any of these; "*" stands for anything within a part: "coco/coco_pope_*.json"
  std::string what;                // what is in it
  std::string from;                // where to get it
  bool optional = false;
};

class DataFolder {
 public:
  // A file instead of a folder stands for the first file that is looked for. Throws InvalidInput for neither.
  DataFolder(std::filesystem::path path, std::string benchmark);

  const std::filesystem::path& path() const { return path_; }

  // The first file of any of the names, in their order; nullopt where there is none.
  std::optional<std::filesystem::path> find(const NeededFile& file) const;
  // All files of the names, in ascending order of their paths.
  std::vector<std::filesystem::path> find_all(const NeededFile& file) const;
  // Throw missing() where there is none.
  std::filesystem::path require(const NeededFile& file) const;
  std::vector<std::filesystem::path> require_all(const NeededFile& file) const;

  // Tables of questions (TSV, Parquet) of the names, or the one that stands for the folder; none where the folder has
  // any of `rather`, the publisher's own files.
  std::vector<std::filesystem::path> find_tables(const NeededFile& tables,
                                                 const std::vector<NeededFile>& rather = {}) const;
  // The file's path in the folder, or its name where it stands for one.
  std::string name_of(const std::filesystem::path& file) const;

  // InvalidInput that says which file is missing and where to get it.
  Error missing(const NeededFile& file) const;

 private:
  std::filesystem::path path_;
  std::string benchmark_;
  bool is_file_ = false;
};

}  // namespace striate

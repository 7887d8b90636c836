// The folder that a benchmark's files lie in, as `data` names it.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "striate/base/error.h"
#include "striate/tables/bad_rows.h"

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
  // `on_bad_row` says what is done with malformed rows.
  DataFolder(std::filesystem::path path, std::string benchmark, OnBadRow on_bad_row = OnBadRow::kStop);

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

  // Hands every row of a file (open_rows()) to `take`, in order. Malformed ones, by the reader's or by `take`'s word,
  // go to bad_rows().
  void each_row(const std::filesystem::path& file, const std::function<void(const Row&)>& take) const;
  void each_row(const std::filesystem::path& file, std::string_view member,
                const std::function<void(const Row&)>& take) const;
  // Of all files of the folder; shared by copies.
  BadRows& bad_rows() const { return *bad_rows_; }

  // InvalidInput that says which file is missing and where to get it.
  Error missing(const NeededFile& file) const;

 private:
  std::filesystem::path path_;
  std::string benchmark_;
  bool is_file_ = false;
  std::shared_ptr<BadRows> bad_rows_;
};

}  // namespace striate

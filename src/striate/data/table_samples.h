// The samples of Parquet files: each as the JSON that a text file would have, and their pictures.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "striate/base/scratch_file.h"
#include "striate/tables/picture_source.h"

namespace striate {

// Rows are read through once, in their order, without their pictures. Parquet cannot be read one row at a time in any
// other order at a bearable price, so the text of the rows is kept: in memory as long as it is short, then in a file
// without a name (base/scratch_file.h). 16 bytes of memory a sample besides. May be read from many threads.
class TableSamples {
 public:
  // Throws what the readers of tables throw, and CorruptData where a sample has over 16 MB.
  explicit TableSamples(const std::vector<std::filesystem::path>& files);

  std::size_t size() const { return ranges_.size(); }
  std::uint32_t length(std::size_t sample) const { return ranges_.at(sample).length; }
  // The sample's JSON; `into` has its length.
  void read(std::size_t sample, std::span<char> into) const;
  // Which file a sample is in, and its row there, from 0.
  const std::filesystem::path& file(std::size_t sample) const;
  std::uint64_t row(std::size_t sample) const;
  const std::shared_ptr<const PictureSource>& pictures() const { return pictures_; }

 private:
  struct Range {
    std::uint64_t begin;
    std::uint32_t length;
  };
  struct File {
    std::filesystem::path path;
    std::uint64_t first;  // sample
  };
  void add(const std::string& text);
  const File& file_of(std::size_t sample) const;

  std::vector<File> files_;
  std::vector<Range> ranges_;
  std::uint64_t bytes_ = 0;
  std::string in_memory_;
  std::optional<ScratchFile> on_disk_;  // all of it, once there is one
  std::shared_ptr<const PictureSource> pictures_;
};

}  // namespace striate

// The pictures of a Parquet file, one at a time.
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "striate/tables/parquet/parquet_table.h"
#include "striate/tables/picture_source.h"

namespace striate {

// A picture costs the page that it is in: pages before it are passed over by their headers, without being unpacked. In
// lists, whose pages do not say how many rows they have, earlier pages of the row group are unpacked too.
class ParquetPictures : public PictureSource {
 public:
  explicit ParquetPictures(std::shared_ptr<const ParquetTable> table) : table_(std::move(table)) {}

  bool has(const std::string& name) const override;
  std::optional<std::string> bytes(const std::string& name) const override;

 private:
  // The first row of each page of a column in a row group, counted from the group's first; and behind them their end.
  // Just {0} where pages do not tell.
  std::vector<std::uint64_t> page_rows(int group, const PictureColumn& column) const;
  std::vector<std::uint64_t> find_page_rows(int group, const PictureColumn& column) const;
  std::string read(int group, std::uint64_t row, const PictureColumn& column, std::size_t item,
                   const std::string& place) const;

  std::shared_ptr<const ParquetTable> table_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<int, int>, std::vector<std::uint64_t>> page_rows_{};  // by row group and leaf
};

}  // namespace striate

#include "striate/tables/parquet/parquet_pictures.h"

#include <arrow/api.h>
#include <parquet/column_reader.h>
#include <parquet/level_conversion.h>
#include <parquet/metadata.h>

#include <algorithm>

#include "striate/base/strings.h"
#include "striate/tables/cell_name.h"

namespace striate {
namespace {

constexpr std::int64_t kLargestPicture = 256'000'000;  // bytes
constexpr const char* kPictureHint = "get the file anew from its publisher, or leave out the row";

}  // namespace

bool ParquetPictures::has(const std::string& name) const {
  const auto cell = parse_cell_name(name, table_->name());
  if (!cell || cell->row >= table_->rows()) return false;
  const PictureColumn* column = table_->picture_column(cell->column);
  return column != nullptr && column->is_list == cell->item.has_value();
}

std::optional<std::string> ParquetPictures::bytes(const std::string& name) const {
  if (!has(name)) return std::nullopt;
  const CellName cell = *parse_cell_name(name, table_->name());
  const std::vector<std::uint64_t>& groups = table_->first_rows();
  const auto group = std::ranges::upper_bound(groups, cell.row) - groups.begin() - 1;
  const std::string place = cat(table_->path(), ", row ", cell.row, ", \"", cell.column, "\"");
  return ParquetTable::guarded(place, [&] {
    return read(static_cast<int>(group), cell.row - groups[static_cast<std::size_t>(group)],
                *table_->picture_column(cell.column), cell.item.value_or(0), place);
  });
}

std::vector<std::uint64_t> ParquetPictures::page_rows(int group, const PictureColumn& column) const {
  const std::pair<int, int> key{group, column.bytes_leaf};
  {
    const std::scoped_lock lock(mutex_);
    if (const auto known = page_rows_.find(key); known != page_rows_.end()) return known->second;
  }
  std::vector<std::uint64_t> rows = find_page_rows(group, column);
  const std::scoped_lock lock(mutex_);
  return page_rows_.try_emplace(key, std::move(rows)).first->second;
}

std::vector<std::uint64_t> ParquetPictures::find_page_rows(int group, const PictureColumn& column) const {
  std::vector<std::uint64_t> rows = {0};
  bool all_tell = true;
  const auto rows_of = table_->file().RowGroup(group);
  const auto pages = rows_of->GetColumnPageReader(column.bytes_leaf);
  pages->set_data_page_filter([&](const parquet::DataPageStats& page) {
    all_tell = all_tell && (page.num_rows || !column.is_list) && page.num_values > 0;
    rows.push_back(rows.back() + static_cast<std::uint64_t>(std::max(0, page.num_rows.value_or(page.num_values))));
    return true;  // passed over
  });
  while (pages->NextPage()) {
  }
  if (!all_tell) rows.resize(1);
  return rows;
}

std::string ParquetPictures::read(int group, std::uint64_t row, const PictureColumn& column, std::size_t item,
                                  const std::string& place) const {
  const std::vector<std::uint64_t> pages = page_rows(group, column);
  const auto page = static_cast<std::size_t>(std::ranges::upper_bound(pages, row) - pages.begin() - 1);
  const auto rows_of = table_->file().RowGroup(group);
  auto reading = rows_of->GetColumnPageReader(column.bytes_leaf);
  reading->set_data_page_filter([left = page](const parquet::DataPageStats&) mutable {
    if (left == 0) return false;
    --left;
    return true;
  });
  const parquet::ColumnDescriptor* leaf = table_->metadata().schema()->Column(column.bytes_leaf);
  const auto records =
      parquet::internal::RecordReader::Make(leaf, parquet::internal::LevelInfo::ComputeLevelInfo(leaf), table_->pool());
  records->SetPageReader(std::move(reading));
  const auto passed = static_cast<std::int64_t>(row - pages[page]);
  if (records->SkipRecords(passed) != passed || records->ReadRecords(1) != 1) {
    throw corrupt_data(cat(place, ": the row group ends before this row"), kPictureHint);
  }
  auto& values = dynamic_cast<parquet::internal::BinaryRecordReader&>(*records);
  auto at = static_cast<std::int64_t>(item);
  for (const auto& chunk : values.GetBuilderChunks()) {
    const auto& binary = dynamic_cast<const arrow::BinaryArray&>(*chunk);
    if (at < binary.length()) {
      if (binary.IsNull(at) || binary.value_length(at) == 0) break;
      if (binary.value_length(at) > kLargestPicture) throw corrupt_data(cat(place, ": over 256 MB"), kPictureHint);
      return binary.GetString(at);
    }
    at -= binary.length();
  }
  throw corrupt_data(cat(place, ": there is no picture"), kPictureHint);
}

}  // namespace striate

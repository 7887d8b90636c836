// Parquet files as rows.
#include <arrow/api.h>
#include <parquet/metadata.h>
#include <parquet/statistics.h>

#include <algorithm>
#include <set>

#include "striate/base/strings.h"
#include "striate/tables/cell_name.h"
#include "striate/tables/formats.h"
#include "striate/tables/parquet/arrow_json.h"
#include "striate/tables/parquet/parquet_pictures.h"

namespace striate {
namespace {

constexpr std::int64_t kBatchBytes = 8'000'000;  // decoded at once, about
constexpr std::int64_t kMostBatchRows = 4096;

// How a row group's rows are read: the leaves that are decoded, and what is known without decoding.
struct GroupPlan {
  std::vector<int> leaves{};
  std::set<std::string> by_path{};    // picture columns without a byte in this group: their paths name files
  std::set<std::string> whole{};      // picture columns without a missing cell, of which nothing is decoded
  std::set<std::string> looked_at{};  // picture columns whose bytes are decoded to see which cells are missing
};

class ParquetRows : public RowReader {
 public:
  explicit ParquetRows(std::shared_ptr<const ParquetTable> table)
      : table_(std::move(table)), pictures_(std::make_shared<ParquetPictures>(table_)) {}

  std::shared_ptr<const PictureSource> pictures() const override {
    if (table_->pictures().empty()) return nullptr;
    return pictures_;
  }

 private:
  std::optional<Row> read() override {
    if (row_ >= table_->rows()) return std::nullopt;
    const std::string place = cat(table_->path(), ", row ", row_);
    if (row_ >= batch_end_) read_batch(place);
    Row row{nlohmann::json::object(), {}, place};
    const auto i = static_cast<std::int64_t>(row_ - batch_begin_);
    for (int column = 0; batch_ && column < batch_->num_columns(); ++column) {
      const std::string& name = batch_->schema()->field(column)->name();
      const arrow::Array& cells = *batch_->column(column);
      const PictureColumn* pictures = table_->picture_column(name);
      row.fields[name] = pictures == nullptr ? arrow_json(cells, i, place) : picture_names(*pictures, cells, i);
    }
    for (const std::string& name : plan_.whole)
      row.fields[name] = cell_name(table_->name(), {row_, name, std::nullopt});
    ++row_;
    return row;
  }

  // Reads the rows from row_ on that fit in a batch.
  void read_batch(const std::string& place) {
    ParquetTable::guarded(place, [&] {
      while (!batches_ || row_ >= table_->first_rows()[static_cast<std::size_t>(group_) + 1]) {
        if (batches_) ++group_;
        open_group();
        batches_ = true;
      }
      batch_begin_ = row_;
      if (plan_.leaves.empty()) {
        batch_end_ = table_->first_rows()[static_cast<std::size_t>(group_) + 1];
        return;
      }
      batch_ = ParquetTable::must(reader_->Next());
      const std::uint64_t left = table_->first_rows()[static_cast<std::size_t>(group_) + 1] - row_;
      if (!batch_ || batch_->num_rows() == 0 || static_cast<std::uint64_t>(batch_->num_rows()) > left) {
        ParquetTable::fail(place, "a row group has another number of rows than it claims");
      }
      if (const arrow::Status valid = batch_->ValidateFull(); !valid.ok()) ParquetTable::fail(place, valid.message());
      batch_end_ = batch_begin_ + static_cast<std::uint64_t>(batch_->num_rows());
    });
  }

  void open_group() {
    plan_ = plan_group();
    batch_ = nullptr;
    reader_ = nullptr;
    if (plan_.leaves.empty()) return;
    const auto group = table_->metadata().RowGroup(group_);
    std::int64_t bytes = 0;
    for (const int leaf : plan_.leaves) {
      bytes += std::clamp<std::int64_t>(group->ColumnChunk(leaf)->total_uncompressed_size(), 0, std::int64_t{1} << 40);
    }
    const std::int64_t each = std::max<std::int64_t>(1, bytes / std::max<std::int64_t>(1, group->num_rows()));
    table_->arrow().set_batch_size(std::clamp<std::int64_t>(kBatchBytes / each, 1, kMostBatchRows));
    reader_ = ParquetTable::must(table_->arrow().GetRecordBatchReader({group_}, plan_.leaves));
  }

  GroupPlan plan_group() const {
    GroupPlan plan;
    std::set<int> apart;  // leaves of pictures
    for (const PictureColumn& column : table_->pictures()) {
      apart.insert(column.bytes_leaf);
      const auto chunk = table_->metadata().RowGroup(group_)->ColumnChunk(column.bytes_leaf);
      const auto numbers = chunk->encoded_statistics();
      const bool counted = numbers && numbers->has_null_count;
      if (column.path_leaf >= 0) {
        if (counted && numbers->null_count == chunk->num_values()) plan.by_path.insert(column.name);
      } else if (counted && numbers->null_count == 0 && !column.is_list) {
        plan.whole.insert(column.name);
      } else {
        apart.erase(column.bytes_leaf);
        plan.looked_at.insert(column.name);
      }
    }
    for (int leaf = 0; leaf < table_->metadata().num_columns(); ++leaf) {
      const std::string root = table_->metadata().schema()->GetColumnRoot(leaf)->name();
      const PictureColumn* pictures = table_->picture_column(root);
      const bool needed = pictures == nullptr
                              ? !apart.contains(leaf)
                              : leaf == pictures->path_leaf || (leaf == pictures->bytes_leaf && !apart.contains(leaf));
      if (needed) plan.leaves.push_back(leaf);
    }
    return plan;
  }

  // A name, a list of names, or null, for the cell of a picture column: `cells` has its structs without the bytes.
  nlohmann::json picture_names(const PictureColumn& column, const arrow::Array& cells, std::int64_t i) const {
    if (cells.IsNull(i)) return nullptr;
    if (!column.is_list) return picture_name(column, cells, i, std::nullopt);
    std::shared_ptr<arrow::Array> items;
    if (cells.type_id() == arrow::Type::LIST) {
      items = static_cast<const arrow::ListArray&>(cells).value_slice(i);
    } else if (cells.type_id() == arrow::Type::LARGE_LIST) {
      items = static_cast<const arrow::LargeListArray&>(cells).value_slice(i);
    } else if (cells.type_id() == arrow::Type::FIXED_SIZE_LIST) {
      items = static_cast<const arrow::FixedSizeListArray&>(cells).value_slice(i);
    } else {
      throw unsupported(cat(table_->path(), ": \"", column.name, "\" is a ", cells.type()->ToString()),
                        "pictures are read from struct<bytes, path>, binary, and lists of either");
    }
    nlohmann::json names = nlohmann::json::array();
    for (std::int64_t item = 0; item < items->length(); ++item) {
      nlohmann::json name = picture_name(column, *items, item, static_cast<std::size_t>(item));
      if (!name.is_null()) names.push_back(std::move(name));
    }
    return names;
  }

  nlohmann::json picture_name(const PictureColumn& column, const arrow::Array& cells, std::int64_t i,
                              std::optional<std::size_t> item) const {
    if (cells.IsNull(i)) return nullptr;
    if (cells.type_id() == arrow::Type::STRUCT) {
      const auto& parts = static_cast<const arrow::StructArray&>(cells);
      if (plan_.by_path.contains(column.name)) return arrow_json(*parts.field(0), i, table_->path());
      if (plan_.looked_at.contains(column.name) && parts.field(0)->IsNull(i)) return nullptr;
    }
    return cell_name(table_->name(), {row_, column.name, item});
  }

  std::shared_ptr<const ParquetTable> table_;
  std::shared_ptr<const ParquetPictures> pictures_;
  GroupPlan plan_{};
  bool batches_ = false;  // whether group_ was opened
  int group_ = 0;
  std::shared_ptr<arrow::RecordBatchReader> reader_{};
  std::shared_ptr<arrow::RecordBatch> batch_{};
  std::uint64_t row_ = 0, batch_begin_ = 0, batch_end_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> open_parquet_rows(const std::filesystem::path& path, std::string name) {
  return std::make_unique<ParquetRows>(std::make_shared<ParquetTable>(path, std::move(name)));
}

}  // namespace striate

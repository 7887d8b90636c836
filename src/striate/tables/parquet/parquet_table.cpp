#include "striate/tables/parquet/parquet_table.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <parquet/metadata.h>
#include <parquet/schema.h>

#include <algorithm>

#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::int64_t kMostMemory = 600'000'000;  // of one buffer: a picture of 256 MB, and room to grow
constexpr int kMostLeaves = 4096;                  // columns, those inside structs counted
constexpr std::size_t kShownProblem = 200;         // bytes of Arrow's own words
// Rows that nothing was stored for take no bytes, but a file of them is not a data set.
constexpr std::int64_t kFreeRows = 1'000'000, kRowsPerByte = 8;

arrow::Status too_much(std::int64_t size) {
  return arrow::Status::OutOfMemory("a part of the file claims ", size, " bytes");
}

bool begins_like_pictures(std::string_view column) {
  constexpr std::string_view kNames[] = {"image", "picture", "photo", "img"};
  return std::ranges::any_of(kNames, [&](std::string_view name) { return column.starts_with(name); });
}

bool is_binary(const parquet::ColumnDescriptor& leaf) {
  const auto& kind = leaf.logical_type();
  return leaf.physical_type() == parquet::Type::BYTE_ARRAY && leaf.converted_type() == parquet::ConvertedType::NONE &&
         (!kind || kind->is_none());
}

// "images.list.element.bytes" -> "images.list.element".
std::string inside_of(const parquet::ColumnDescriptor& leaf) {
  const std::string path = leaf.path()->ToDotString();
  return path.substr(0, path.rfind('.') == std::string::npos ? 0 : path.rfind('.'));
}

}  // namespace

arrow::Status BoundedPool::Allocate(std::int64_t size, std::int64_t alignment, std::uint8_t** out) {
  if (size > kMostMemory) return too_much(size);
  return arrow::ProxyMemoryPool::Allocate(size, alignment, out);
}

arrow::Status BoundedPool::Reallocate(std::int64_t old_size, std::int64_t new_size, std::int64_t alignment,
                                      std::uint8_t** pointer) {
  if (new_size > kMostMemory) return too_much(new_size);
  return arrow::ProxyMemoryPool::Reallocate(old_size, new_size, alignment, pointer);
}

ParquetTable::ParquetTable(const std::filesystem::path& path, std::string name)
    : path_(path.string()), name_(std::move(name)), mapped_(MappedFile::open(path)) {
  guarded(path_, [&] {
    const auto bytes = mapped_->bytes();
    const auto buffer = std::make_shared<arrow::Buffer>(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                                        static_cast<std::int64_t>(bytes.size()));
    parquet::ReaderProperties reading(&pool_);
    reading.set_page_checksum_verification(true);
    auto file = parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(buffer), reading);
    metadata_ = file->metadata();
    if (metadata_->num_columns() > kMostLeaves) fail(path_, cat("over ", kMostLeaves, " columns"));
    parquet::ArrowReaderProperties settings(/*use_threads=*/false);
    settings.set_pre_buffer(false);
    arrow_ = must(parquet::arrow::FileReader::Make(&pool_, std::move(file), settings));
    check_rows();
    find_pictures();
  });
}

void ParquetTable::fail(const std::string& place, std::string_view what) {
  const std::string line(what.substr(0, std::min(what.find('\n'), kShownProblem)));
  throw corrupt_data(cat(place, ": not a whole Parquet file: ", line), "get the file anew from its publisher");
}

void ParquetTable::check_rows() {
  const auto size = static_cast<std::int64_t>(mapped_->bytes().size());
  std::int64_t rows = 0;
  first_rows_.push_back(0);
  for (int group = 0; group < metadata_->num_row_groups(); ++group) {
    const std::int64_t here = metadata_->RowGroup(group)->num_rows();
    if (here < 0 || here > kFreeRows + kRowsPerByte * size - rows) fail(path_, "a row group claims too many rows");
    rows += here;
    first_rows_.push_back(static_cast<std::uint64_t>(rows));
  }
  if (rows != metadata_->num_rows()) fail(path_, "its row groups have another number of rows than it claims");
}

void ParquetTable::find_pictures() {
  const parquet::SchemaDescriptor& schema = *metadata_->schema();
  for (int i = 0; i < schema.num_columns(); ++i) {
    const parquet::ColumnDescriptor& leaf = *schema.Column(i);
    const std::string column = schema.GetColumnRoot(i)->name();
    if (!is_valid_utf8(leaf.path()->ToDotString())) fail(path_, "the name of a column is not UTF-8");
    const bool named_bytes = leaf.name() == "bytes" && !inside_of(leaf).empty();
    if (!is_binary(leaf) || leaf.max_repetition_level() > 1 || (!named_bytes && !begins_like_pictures(column)))
      continue;
    PictureColumn found{column, i, -1, leaf.max_repetition_level() == 1};
    for (int j = 0; j < schema.num_columns(); ++j) {
      const parquet::ColumnDescriptor& other = *schema.Column(j);
      if (named_bytes && other.name() == "path" && inside_of(other) == inside_of(leaf)) found.path_leaf = j;
    }
    if (picture_column(column) == nullptr) pictures_.push_back(std::move(found));
  }
}

const PictureColumn* ParquetTable::picture_column(std::string_view column) const {
  const auto found = std::ranges::find(pictures_, column, &PictureColumn::name);
  return found == pictures_.end() ? nullptr : &*found;
}

}  // namespace striate

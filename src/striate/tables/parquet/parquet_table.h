// A Parquet file behind Arrow: opened within bounds, its columns told apart, every failure of Arrow an Error.
#pragma once

#include <arrow/memory_pool.h>
#include <parquet/arrow/reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/files.h"

namespace striate {

// No part of a file may take more memory than this at once, whatever it claims.
class BoundedPool : public arrow::ProxyMemoryPool {
 public:
  BoundedPool() : arrow::ProxyMemoryPool(arrow::system_memory_pool()) {}
  using arrow::MemoryPool::Allocate;
  using arrow::MemoryPool::Free;
  using arrow::MemoryPool::Reallocate;
  arrow::Status Allocate(std::int64_t size, std::int64_t alignment, std::uint8_t** out) override;
  arrow::Status Reallocate(std::int64_t old_size, std::int64_t new_size, std::int64_t alignment,
                           std::uint8_t** pointer) override;
};

// A column that holds pictures.
struct PictureColumn {
  std::string name;
  int bytes_leaf = 0;
  int path_leaf = -1;    // beside the bytes, in a struct; -1: none
  bool is_list = false;  // a row may have several
};

class ParquetTable {
 public:
  // Throws InvalidInput, CorruptData.
  ParquetTable(const std::filesystem::path& path, std::string name);

  const std::string& path() const { return path_; }
  const std::string& name() const { return name_; }  // what the names of its pictures begin with
  std::uint64_t rows() const { return first_rows_.back(); }
  // The row that each row group begins with, and behind them rows().
  const std::vector<std::uint64_t>& first_rows() const { return first_rows_; }
  const std::vector<PictureColumn>& pictures() const { return pictures_; }
  // nullptr: the column has none.
  const PictureColumn* picture_column(std::string_view column) const;

  parquet::arrow::FileReader& arrow() const { return *arrow_; }
  parquet::ParquetFileReader& file() const { return *arrow_->parquet_reader(); }
  const parquet::FileMetaData& metadata() const { return *metadata_; }
  arrow::MemoryPool* pool() const { return &pool_; }

  // The result of `read`, which uses Arrow; its failures are CorruptData of `place`.
  template <typename Read>
  static auto guarded(const std::string& place, Read read) {
    try {
      return read();
    } catch (const Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw resource_error(place + ": out of memory", "close other programs, or use a machine with more memory");
    } catch (const std::exception& problem) {  // Arrow throws its own, and those of the standard library
      fail(place, problem.what());
    }
  }
  // The value of a result, for use inside guarded().
  template <typename Value>
  static Value must(arrow::Result<Value> result) {
    if (!result.ok()) throw parquet::ParquetException(result.status().message());
    return std::move(result).ValueUnsafe();
  }
  [[noreturn]] static void fail(const std::string& place, std::string_view what);

 private:
  void check_rows();
  void find_pictures();

  std::string path_, name_;
  std::shared_ptr<const MappedFile> mapped_;
  mutable BoundedPool pool_{};
  std::shared_ptr<parquet::FileMetaData> metadata_{};
  std::unique_ptr<parquet::arrow::FileReader> arrow_{};
  std::vector<std::uint64_t> first_rows_{};
  std::vector<PictureColumn> pictures_{};
};

}  // namespace striate

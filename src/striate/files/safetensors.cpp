#include <algorithm>
#include <cstring>
#include <numeric>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/missing_tensor.h"
#include "striate/files/safetensors_format.h"
#include "striate/files/safetensors_header.h"
#include "striate/files/weight_file.h"

namespace striate {
namespace {

constexpr const char* kTruncatedHint = "the file is truncated or damaged: download it again";

class SafetensorsFile final : public WeightFile {
 public:
  SafetensorsFile(std::shared_ptr<const MappedFile> file, std::vector<TensorInfo> tensors,
                  std::vector<std::uint64_t> offsets)
      : file_(std::move(file)), tensors_(std::move(tensors)), offsets_(std::move(offsets)) {}

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }

  at::Tensor load(const std::string& name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) throw missing_tensor(file_->path(), name, tensors_);
    const std::uint64_t offset = offsets_[static_cast<std::size_t>(info - tensors_.data())];
    return mapped_tensor(file_, offset, info->dtype, info->shape, dense_strides(info->shape), name);
  }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<TensorInfo> tensors_;     // sorted by name
  std::vector<std::uint64_t> offsets_;  // of tensors_[i]'s first byte in the file
};

std::string_view header_text(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  const std::string name = file.path().string();
  if (bytes.size() < kSafetensorsLengthBytes) {
    throw corrupt_data(cat(name, ": ", bytes.size(), " bytes, too short for a safetensors file"), kTruncatedHint);
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kSafetensorsLengthBytes; ++i) length |= static_cast<std::uint64_t>(bytes[i]) << (8 * i);
  if (length > kSafetensorsHeaderCap) {
    throw corrupt_data(cat(name, ": claims a header of ", length, " bytes, more than the 100 MB safetensors allows"),
                       "check that it is a safetensors file");
  }
  if (length > bytes.size() - kSafetensorsLengthBytes) {
    throw corrupt_data(cat(name, ": its header should have ", length, " bytes, but the file ends after ",
                           bytes.size() - kSafetensorsLengthBytes, " of them"),
                       kTruncatedHint);
  }
  return {reinterpret_cast<const char*>(bytes.data()) + kSafetensorsLengthBytes, static_cast<std::size_t>(length)};
}

// Each byte of the data belongs to exactly one tensor.
void check_coverage(const std::vector<SafetensorsRecord>& records, std::uint64_t data_bytes, const std::string& file) {
  std::vector<const SafetensorsRecord*> order;
  order.reserve(records.size());
  for (const SafetensorsRecord& record : records) {
    if (record.end > data_bytes) {
      throw corrupt_data(cat(file, ": tensor ", quoted_name(record.name), " ends at byte ", record.end,
                             " of the data, but the file has only ", data_bytes, " bytes of data"),
                         kTruncatedHint);
    }
    order.push_back(&record);
  }
  const auto before = [](const SafetensorsRecord* a, const SafetensorsRecord* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
  std::uint64_t covered = 0;
  for (const SafetensorsRecord* record : order) {
    if (record->begin < covered) {
      throw corrupt_data(cat(file, ": tensor ", quoted_name(record->name), " begins at byte ", record->begin,
                             " of the data and overlaps another, which ends at byte ", covered),
                         kTruncatedHint);
    }
    if (record->begin > covered) {
      throw corrupt_data(
          cat(file, ": a gap of ", record->begin - covered, " bytes before tensor ", quoted_name(record->name)),
          kTruncatedHint);
    }
    covered = record->end;
  }
  if (covered != data_bytes) {
    throw corrupt_data(cat(file, ": ", data_bytes - covered, " bytes at its end do not belong to any tensor"),
                       kTruncatedHint);
  }
}

}  // namespace

std::shared_ptr<const WeightFile> open_safetensors(const std::filesystem::path& path) {
  std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  refuse_lfs_pointer(*file);
  const std::string_view header = header_text(*file);
  std::vector<SafetensorsRecord> records = parse_safetensors_header(header, path.string());
  const std::uint64_t data_begin = kSafetensorsLengthBytes + header.size();
  check_coverage(records, file->bytes().size() - data_begin, path.string());

  const auto by_name = [](const SafetensorsRecord& a, const SafetensorsRecord& b) { return a.name < b.name; };
  if (!std::is_sorted(records.begin(), records.end(), by_name)) std::sort(records.begin(), records.end(), by_name);
  std::vector<TensorInfo> tensors;
  std::vector<std::uint64_t> offsets;
  tensors.reserve(records.size());
  offsets.reserve(records.size());
  for (SafetensorsRecord& record : records) {
    if (!tensors.empty() && tensors.back().name == record.name) {
      throw corrupt_data(cat(path.string(), ": tensor ", quoted_name(record.name), " occurs twice"), kTruncatedHint);
    }
    offsets.push_back(data_begin + record.begin);
    tensors.push_back({std::move(record.name), record.dtype, std::move(record.shape), record.end - record.begin, path});
  }
  return std::make_shared<SafetensorsFile>(std::move(file), std::move(tensors), std::move(offsets));
}

}  // namespace striate

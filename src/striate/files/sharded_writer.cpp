#include "striate/files/sharded_writer.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"

namespace striate {
namespace {

std::uint64_t bytes_of(const SafetensorsWriter::Entry& entry) {
  const auto bytes = dense_bytes(entry.dtype, entry.shape);
  if (!bytes) throw internal_error(cat("the shape of ", entry.name, " overflows"));
  return *bytes;
}

std::string shard_name(std::size_t index, std::size_t count) {
  if (count == 1) return "model.safetensors";
  char name[48];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", index + 1, count);
  return name;
}

}  // namespace

ShardedWriter::ShardedWriter(std::filesystem::path folder, std::filesystem::path subfolder,
                             std::vector<SafetensorsWriter::Entry> entries, std::uint64_t max_bytes)
    : folder_(std::move(folder)), subfolder_(std::move(subfolder)), entries_(std::move(entries)) {
  shards_.push_back({{}, 0, 0, 0});
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::uint64_t bytes = bytes_of(entries_[i]);
    if (shards_.back().end > shards_.back().begin && shards_.back().bytes + bytes > max_bytes) {
      shards_.push_back({{}, i, i, 0});
    }
    shards_.back().end = i + 1;
    shards_.back().bytes += bytes;
    bytes_ += bytes;
  }
  constexpr std::size_t kMost = 99'999;
  if (shards_.size() > kMost) {
    throw invalid_input(cat("`max_shard_size`: would make ", shards_.size(), " files"), "give a larger size");
  }
  for (std::size_t i = 0; i < shards_.size(); ++i) shards_[i].file = shard_name(i, shards_.size());
}

void ShardedWriter::append(const at::Tensor& tensor) {
  if (shard_ == shards_.size()) throw internal_error("more tensors than were declared");
  const Shard& shard = shards_[shard_];
  if (!writer_) {
    const auto begin = entries_.begin();
    writer_ = std::make_unique<SafetensorsWriter>(
        OutputPath::inside(folder_, subfolder_ / shard.file),
        std::vector(begin + static_cast<std::ptrdiff_t>(shard.begin), begin + static_cast<std::ptrdiff_t>(shard.end)));
  }
  writer_->append(tensor);
  if (++written_ < shard.end) return;
  writer_->commit();
  writer_.reset();
  ++shard_;
}

void ShardedWriter::commit() {
  if (written_ != entries_.size()) {
    throw internal_error(cat(written_, " tensors written, ", entries_.size(), " declared"));
  }
  if (shards_.size() == 1) return;
  nlohmann::json map = nlohmann::json::object();
  for (const Shard& shard : shards_) {
    for (std::size_t i = shard.begin; i < shard.end; ++i) map[entries_[i].name] = shard.file;
  }
  const nlohmann::json index = {{"metadata", {{"total_size", bytes_}}}, {"weight_map", std::move(map)}};
  write_file(OutputPath::inside(folder_, subfolder_ / "model.safetensors.index.json"), index.dump(2) + "\n");
}

}  // namespace striate

// The weights of a model as Hugging Face lays them out: one safetensors file, or several with an index.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "striate/files/weight_file.h"

namespace striate {

// model.safetensors, or model-00001-of-00003.safetensors ... with model.safetensors.index.json. Tensors stream through:
// files are filled one after another in the order of `entries`, none beyond `max_bytes` of data but by a single tensor
// that is larger.
class ShardedWriter {
 public:
  // In `subfolder` (may be empty) of the output's `folder`: OutputPath::inside. Throws InvalidInput when that makes
  // more files than their names can count.
  ShardedWriter(std::filesystem::path folder, std::filesystem::path subfolder,
                std::vector<SafetensorsWriter::Entry> entries, std::uint64_t max_bytes);

  std::size_t files() const { return shards_.size(); }
  std::uint64_t bytes() const { return bytes_; }
  // Appends the next entry's data; a file appears when its last tensor is there.
  void append(const at::Tensor& tensor);
  // Checks that every entry was written, then writes the index, where there is one.
  void commit();

 private:
  struct Shard {
    std::string file;
    std::size_t begin;  // of the entries
    std::size_t end;
    std::uint64_t bytes;
  };

  std::filesystem::path folder_;
  std::filesystem::path subfolder_;
  std::vector<SafetensorsWriter::Entry> entries_;
  std::vector<Shard> shards_;
  std::uint64_t bytes_ = 0;
  std::size_t shard_ = 0;
  std::size_t written_ = 0;
  std::unique_ptr<SafetensorsWriter> writer_;
};

}  // namespace striate

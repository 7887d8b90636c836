// Reading GGUF files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "striate/base/files.h"
#include "striate/files/gguf_format.h"

namespace striate {

struct GgufTensor {
  std::string name;
  GgufType type;
  std::vector<std::int64_t> shape;  // as LibTorch writes it
  std::uint64_t offset;             // of its first byte in the file
  std::uint64_t bytes;
};

// One GGUF file, memory-mapped. Immutable; may be used from many threads. Opening reads and checks everything but the
// tensors' data.
class GgufFile {
 public:
  // Throws InvalidInput (cannot be opened), CorruptData (no GGUF; counts, lengths, shapes or offsets that the file's
  // size cannot hold; tensors that overlap, are not aligned or share a name; a key that is there twice) or Unsupported
  // (version 1, big-endian, arrays of arrays, tensor types other than f32, f16, bf16 and q8_0: the tensor is named).
  static std::shared_ptr<const GgufFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_->path(); }
  const GgufMetadata& metadata() const { return metadata_; }
  // nullptr when there is no such key.
  const GgufValue* find_value(std::string_view key) const;
  const std::vector<GgufTensor>& tensors() const { return tensors_; }  // in the order of the file
  // nullptr when there is none of that name.
  const GgufTensor* find(std::string_view name) const;
  // f32, f16 and bf16: a view of the mapped file, which it keeps alive (never write to it). q8_0: its numbers as fp32.
  at::Tensor load(const GgufTensor& tensor) const;
  std::span<const std::byte> raw(const GgufTensor& tensor) const;

 private:
  GgufFile(std::shared_ptr<const MappedFile> file, GgufMetadata metadata, std::vector<GgufTensor> tensors)
      : file_(std::move(file)), metadata_(std::move(metadata)), tensors_(std::move(tensors)) {}

  std::shared_ptr<const MappedFile> file_;
  GgufMetadata metadata_;
  std::vector<GgufTensor> tensors_;
};

}  // namespace striate

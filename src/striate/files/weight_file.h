// Files of named tensors: safetensors and PyTorch's zip format behind one interface.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/output_path.h"

namespace striate {

// What a file says of one tensor, before any of its bytes are read.
struct TensorInfo {
  std::string name;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes;
  std::filesystem::path file;
};

// A set of named tensors in one or several files, memory-mapped. Immutable; may be used from many threads.
class WeightFile {
 public:
  virtual ~WeightFile() = default;
  // Every tensor, sorted by name.
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // nullptr when there is none of that name.
  const TensorInfo* find(const std::string& name) const;
  // The tensor on the CPU in its own dtype: a view of the mapped file, which it keeps alive. Never write to it.
  // Throws InvalidInput when there is none of that name (the hint names the nearest).
  virtual at::Tensor load(const std::string& name) const = 0;
};

// One `.safetensors` file (https://huggingface.co/docs/safetensors: 8-byte header length, JSON header, data). The
// header is read and checked here, tensors are not: it costs the same for any size of data.
// Throws CorruptData: header over 100 MB or past the end, not JSON, unknown dtype, shape times dtype not the byte
// count or overflowing, offsets out of range, overlapping, or leaving holes, duplicate names. Each names file and
// tensor.
std::shared_ptr<const WeightFile> open_safetensors(const std::filesystem::path& path);

// One PyTorch zip file (`torch.save`: pytorch_model.bin, mm_projector.bin, non_lora_trainables.bin). Its pickle is
// read by an interpreter that knows tensors, Parameters, containers and OrderedDict and refuses everything else.
// Throws CorruptData, or Unsupported for pickles that name other globals (the name is given) or the pre-1.6 format.
std::shared_ptr<const WeightFile> open_torch_bin(const std::filesystem::path& path);

// By file name ending (.safetensors, .bin, .pt, .pth).
std::shared_ptr<const WeightFile> open_weight_file(const std::filesystem::path& path);

// All weights of a Hugging Face directory: `<stem>.safetensors`, `<stem>.safetensors.index.json`, or the pytorch_model
// equivalents, whichever is there, in that order. `stem` is "model" (and "pytorch_model" for .bin).
// Throws InvalidInput (no weights; a shard the index names is missing), CorruptData (a tensor the index names is not in
// its shard; one name in two shards).
std::shared_ptr<const WeightFile> open_weight_directory(const std::filesystem::path& folder);

// Writes safetensors in two steps: all headers first, so that the data streams out one tensor at a time.
class SafetensorsWriter {
 public:
  struct Entry {
    std::string name;
    at::ScalarType dtype;
    std::vector<std::int64_t> shape;
  };
  // `metadata` becomes __metadata__ ({"format": "pt"} is what transformers asks for).
  SafetensorsWriter(const OutputPath& path, std::vector<Entry> entries,
                    const std::vector<std::pair<std::string, std::string>>& metadata = {{"format", "pt"}});
  ~SafetensorsWriter();
  // Appends the next entry's data, in the order given to the constructor; dtype and shape must be the entry's.
  void append(const at::Tensor& tensor);
  // Checks that every entry was written, then makes the file appear.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// A whole safetensors file at once.
void write_safetensors(const OutputPath& path, const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::vector<std::pair<std::string, std::string>>& metadata = {{"format", "pt"}});

}  // namespace striate

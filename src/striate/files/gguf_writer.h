// Writing GGUF files: all records first, so that the data streams out one tensor at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "striate/base/output_path.h"
#include "striate/files/gguf_format.h"

namespace striate {

// A GGUF file that appears whole or not at all. Conversions round to the nearest, halves to even (q8_0: q8_0.h); they
// go through a buffer of a few megabytes, whatever the tensor's size.
class GgufWriter {
 public:
  struct Entry {
    std::string name;
    GgufType type;
    std::vector<std::int64_t> shape;  // as LibTorch writes it; the file has it the other way round
  };
  // Throws ResourceError when the file cannot be made, Internal for impossible entries.
  GgufWriter(const OutputPath& path, const GgufMetadata& metadata, std::vector<Entry> entries);
  ~GgufWriter();
  GgufWriter(const GgufWriter&) = delete;
  GgufWriter& operator=(const GgufWriter&) = delete;

  // The size the file will have.
  std::uint64_t file_bytes() const;
  // Appends the next entry's data, in the order given to the constructor, from fp32, fp16 or bf16 on any device. The
  // shape must be the entry's. Throws Unsupported for numbers that the entry's type cannot hold (65504 is fp16's
  // largest; q8_0 has neither infinities nor NaN).
  void append(const at::Tensor& tensor);
  // Checks that every entry was written, then makes the file appear.
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace striate

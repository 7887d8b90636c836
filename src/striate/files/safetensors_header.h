// The JSON header of a safetensors file, read in one pass without building a document: a header near the cap of 100 MB
// may name more than a million tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

struct SafetensorsRecord {
  std::string name;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin;  // bytes, from the end of the header
  std::uint64_t end;
};

// The records in the header's order. Throws CorruptData (messages begin with `file`) when it is not one JSON object of
// {dtype, shape, data_offsets} objects (other fields are skipped) and perhaps a __metadata__ of strings, when a field
// is given twice, or when a shape times its dtype overflows or is not end - begin. Whether names are unique and the
// ranges cover the data is for the caller to check.
std::vector<SafetensorsRecord> parse_safetensors_header(std::string_view json, const std::string& file);

}  // namespace striate

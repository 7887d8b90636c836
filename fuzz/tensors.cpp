#include "tensors.h"

#include "support.h"

namespace striate::fuzz {
namespace {

constexpr std::int64_t kMostNumbers = 1 << 16;

void touch(const at::Tensor& tensor, const std::vector<std::int64_t>& shape) {
  if (tensor.sizes() != at::IntArrayRef(shape)) found("a tensor of another shape than the file says");
  if (tensor.numel() > 0 && tensor.numel() <= kMostNumbers) (void)tensor.clone(at::MemoryFormat::Contiguous);
}

}  // namespace

void read_all(const WeightFile& file) {
  for (const TensorInfo& info : file.tensors()) {
    const at::Tensor tensor = file.load(info.name);
    if (tensor.scalar_type() != info.dtype) found("a tensor of another dtype than the file says");
    touch(tensor, info.shape);
  }
}

void read_all(const GgufFile& file) {
  for (const GgufTensor& info : file.tensors()) {
    (void)file.raw(info);
    touch(file.load(info), info.shape);
  }
}

}  // namespace striate::fuzz

// What the machine itself can do, as the scale that benchmarks are held against: how fast it reads memory, and how
// fast it multiplies matrices in fp32 and bf16.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>

namespace striate::bench {

// A buffer much larger than any cache, every page touched, in the large pages that the system gives out on request.
class ReadBuffer {
 public:
  // Throws std::bad_alloc.
  explicit ReadBuffer(std::size_t bytes);
  ~ReadBuffer();
  ReadBuffer(const ReadBuffer&) = delete;
  ReadBuffer& operator=(const ReadBuffer&) = delete;

  // Sums the buffer once with LibTorch's present number of threads, each reading one contiguous part: bytes per second.
  double read_rate();

 private:
  std::uint64_t* words_;
  std::size_t count_;
  std::uint64_t sum_ = 0;  // kept, so that the reading cannot be left out
};

// A product of the size of a 7B model's linears: x [rows, in] times a weight [out, in], as at::linear does it.
class MatrixProduct {
 public:
  MatrixProduct(std::int64_t rows, std::int64_t in, std::int64_t out, at::ScalarType dtype);

  // One product with LibTorch's present number of threads: floating-point operations per second, a multiplication and
  // an addition counted as two.
  double rate();

 private:
  at::Tensor x_;
  at::Tensor weight_;
};

}  // namespace striate::bench

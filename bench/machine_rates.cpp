#include "bench/machine_rates.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <new>

#include "striate/base/elapsed.h"
#include "striate/tensor/parallel.h"

namespace striate::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLanes = 64;  // words in flight: eight AVX-512 accumulators

// Compiled for each vector width; the loader takes the widest this CPU has.
__attribute__((target_clones("avx512f", "avx2", "default"))) std::uint64_t sum_words(const std::uint64_t* words,
                                                                                     std::size_t count) {
  std::array<std::uint64_t, kLanes> sums{};
  for (std::size_t i = 0; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) sums[lane] += words[i + lane];
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t lane : sums) sum += lane;
  return sum;
}

}  // namespace

ReadBuffer::ReadBuffer(std::size_t bytes) : count_(bytes / sizeof(std::uint64_t) / kLanes * kLanes) {
  void* map = mmap(nullptr, count_ * sizeof(std::uint64_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) throw std::bad_alloc();
  madvise(map, count_ * sizeof(std::uint64_t), MADV_HUGEPAGE);
  words_ = static_cast<std::uint64_t*>(map);
  for (std::size_t i = 0; i < count_; ++i) words_[i] = i;
}

ReadBuffer::~ReadBuffer() {
  munmap(words_, count_ * sizeof(std::uint64_t));
}

double ReadBuffer::read_rate() {
  const auto blocks = static_cast<std::int64_t>(count_ / kLanes);
  const std::int64_t share = (blocks + at::get_num_threads() - 1) / at::get_num_threads();
  std::atomic<std::uint64_t> sum = 0;
  const auto start = Clock::now();
  parallel_ranges(blocks, share, [&](std::int64_t begin, std::int64_t end) {
    sum += sum_words(words_ + static_cast<std::size_t>(begin) * kLanes, static_cast<std::size_t>(end - begin) * kLanes);
  });
  const double seconds = seconds_since(start);
  sum_ += sum;
  return static_cast<double>(count_ * sizeof(std::uint64_t)) / seconds;
}

MatrixProduct::MatrixProduct(std::int64_t rows, std::int64_t in, std::int64_t out, at::ScalarType dtype)
    : x_(at::randn({rows, in}).to(dtype)), weight_(at::randn({out, in}).to(dtype)) {}

double MatrixProduct::rate() {
  const at::NoGradGuard no_grad;
  const auto start = Clock::now();
  const at::Tensor y = at::linear(x_, weight_);
  const double seconds = seconds_since(start);
  return 2.0 * static_cast<double>(x_.numel()) * static_cast<double>(weight_.size(0)) / seconds;
}

}  // namespace striate::bench

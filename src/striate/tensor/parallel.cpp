#include "striate/tensor/parallel.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <algorithm>
#include <exception>

namespace striate {

void parallel_ranges(std::int64_t count, std::int64_t grain,
                     const std::function<void(std::int64_t first, std::int64_t last)>& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(grain, 1);
  if (count <= grain || at::get_num_threads() <= 1 || omp_in_parallel() != 0) {
    body(0, count);
    return;
  }
  std::exception_ptr failure;
  // No num_threads clause: libgomp would end and start threads whenever the number changes.
#pragma omp parallel
  {
    const std::int64_t parts = std::min<std::int64_t>(omp_get_num_threads(), (count + grain - 1) / grain);
    const std::int64_t part = (count + parts - 1) / parts;
    const std::int64_t first = part * omp_get_thread_num();
    const std::int64_t last = std::min(count, first + part);
    try {
      if (first < last) body(first, last);
    } catch (...) {
#pragma omp critical
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace striate

// Loops over LibTorch's own thread pool.
//
// at::parallel_for runs serially in a file compiled without OpenMP; this function is compiled with it, once, and
// linked with the OpenMP library of the wheel, so that a program has one pool of threads and not two.
#pragma once

#include <cstdint>
#include <functional>

namespace striate {

// Calls body(first, last) on contiguous parts of [0, count), one per thread, at most at::get_num_threads() of them and
// none shorter than `grain` but the last. Runs on the calling thread alone when that is enough, or when already inside
// a parallel region. An exception of `body` reaches the caller.
void parallel_ranges(std::int64_t count, std::int64_t grain,
                     const std::function<void(std::int64_t first, std::int64_t last)>& body);

}  // namespace striate

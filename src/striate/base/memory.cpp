#include "striate/base/memory.h"

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace striate {

void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int kLargestFromHeap = 32 << 20;  // the most glibc takes for M_MMAP_THRESHOLD
  constexpr int kKept = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, kLargestFromHeap);
  mallopt(M_TRIM_THRESHOLD, kKept);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace striate

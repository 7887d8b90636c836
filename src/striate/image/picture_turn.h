// Large pictures take turns: however many threads read pictures, one of them at a time holds a large one.
//
// A picture may have 179 million pixels (DecodeLimits), half a gigabyte once decoded and more while it is padded. What
// a thread may take, every thread may take at once: the bound is kept for the process. Small pictures wait for nobody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

#include "striate/image/image.h"

namespace striate {

class PictureTurn;

// Like decode_image(), taking `turn` before a large picture is allocated; the caller holds it as long as the picture.
Image decode_image(std::span<const std::byte> bytes, const std::string& name, PictureTurn& turn);

// One picture's turn, from its first large piece of memory to the end of the object. For one thread, which holds no
// other.
class PictureTurn {
 public:
  // Waits until no other picture is large, if this one is: above 64 MB. Later calls change nothing.
  void take(std::uint64_t bytes);

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace striate

#include "striate/text/image_marks.h"

namespace striate {

std::size_t image_marks(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = text.find(kImageMark); at != std::string_view::npos; at = text.find(kImageMark, at + 1))
    ++count;
  return count;
}

}  // namespace striate

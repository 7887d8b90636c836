#include "striate/image/picture_turn.h"

namespace striate {
namespace {

constexpr std::uint64_t kLarge = 64'000'000;

std::mutex& large_pictures() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

void PictureTurn::take(std::uint64_t bytes) {
  if (bytes > kLarge && !lock_.owns_lock()) lock_ = std::unique_lock(large_pictures());
}

}  // namespace striate

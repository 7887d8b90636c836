#include "striate/data/sample_order.h"

#include <limits>
#include <numeric>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"

namespace striate {

std::vector<std::uint32_t> epoch_order(std::int64_t size, std::uint64_t seed, std::int64_t epoch, bool shuffle) {
  if (size > std::numeric_limits<std::uint32_t>::max()) {
    throw unsupported(cat(size, " samples: more than 2^32"), "split the data set");
  }
  std::vector<std::uint32_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0U);
  if (!shuffle) return order;
  const RandomStream random(seed, cat("sample order, epoch ", epoch));
  for (std::size_t i = order.size(); i > 1; --i) {
    // The high half of bits * i: uniform in [0, i) but for a bias of i / 2^64.
    const auto draw = static_cast<unsigned __int128>(random.bits(i)) * i;
    std::swap(order[i - 1], order[static_cast<std::size_t>(draw >> 64)]);
  }
  return order;
}

}  // namespace striate

#include "striate/answers/bootstrap.h"

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include "striate/answers/quantile.h"
#include "striate/base/random.h"

namespace striate {
namespace {

// For each item the number of its resampling_unit(), from 0.
std::vector<std::size_t> unit_numbers(std::span<const Scored> items) {
  std::unordered_map<std::string, std::size_t> numbers;
  std::vector<std::size_t> of_item;
  for (const Scored& item : items) {
    of_item.push_back(numbers.try_emplace(resampling_unit(*item.question), numbers.size()).first->second);
  }
  return of_item;
}

}  // namespace

Interval resampled(std::span<const Scored> items, const Resampling& resampling,
                   const std::function<double(std::span<const double> weights)>& value) {
  const std::vector<std::size_t> unit_of = unit_numbers(items);
  const std::size_t units = unit_of.empty() ? 0 : *std::ranges::max_element(unit_of) + 1;
  const RandomStream random(resampling.seed, "bootstrap");
  std::vector<double> values, weights(items.size());
  for (std::int64_t draw = 0; draw < resampling.draws && units > 1; ++draw) {
    std::vector<double> drawn(units, 0.0);
    for (std::size_t i = 0; i < units; ++i) {
      const std::uint64_t index = static_cast<std::uint64_t>(draw) * units + i;
      ++drawn[static_cast<std::size_t>(random.uniform(index) * static_cast<double>(units))];
    }
    for (std::size_t i = 0; i < items.size(); ++i) weights[i] = drawn[unit_of[i]];
    values.push_back(value(weights));
  }
  return middle_of(std::move(values));
}

}  // namespace striate

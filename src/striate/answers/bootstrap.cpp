#include "striate/answers/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <unordered_map>

#include "striate/base/random.h"

namespace striate {
namespace {

constexpr double kOutside = 0.025;  // on either side

// For each item the number of its group, from 0.
std::vector<std::size_t> group_numbers(std::span<const Scored> items) {
  std::unordered_map<std::string, std::size_t> numbers;
  std::vector<std::size_t> of_item;
  for (const Scored& item : items) {
    const std::string& group = item.question->group;
    const std::string key = group.empty() ? "q" + item.question->id : "g" + group;
    of_item.push_back(numbers.try_emplace(key, numbers.size()).first->second);
  }
  return of_item;
}

// Linear between the neighbours, as numpy's percentile.
double quantile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Interval resampled(std::span<const Scored> items, const Resampling& resampling,
                   const std::function<double(std::span<const double> weights)>& value) {
  const std::vector<std::size_t> group_of = group_numbers(items);
  const std::size_t groups = group_of.empty() ? 0 : *std::ranges::max_element(group_of) + 1;
  const RandomStream random(resampling.seed, "bootstrap");
  std::vector<double> values, weights(items.size());
  for (std::int64_t draw = 0; draw < resampling.draws && groups > 0; ++draw) {
    std::vector<double> drawn(groups, 0.0);
    for (std::size_t i = 0; i < groups; ++i) {
      const std::uint64_t index = static_cast<std::uint64_t>(draw) * groups + i;
      ++drawn[static_cast<std::size_t>(random.uniform(index) * static_cast<double>(groups))];
    }
    for (std::size_t i = 0; i < items.size(); ++i) weights[i] = drawn[group_of[i]];
    const double drawn_value = value(weights);
    if (std::isfinite(drawn_value)) values.push_back(drawn_value);
  }
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  if (values.empty()) return {kNone, kNone};
  std::ranges::sort(values);
  return {quantile(values, kOutside), quantile(values, 1 - kOutside)};
}

}  // namespace striate

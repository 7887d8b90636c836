#include "striate/data/step_plan.h"

#include <algorithm>
#include <numeric>

#include "striate/base/error.h"

namespace striate {
namespace {

// Positions from the longest sample down.
std::vector<std::size_t> by_length(std::span<const std::int64_t> lengths) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] > lengths[b]; });
  return order;
}

// Groups with their tokens.
class Groups {
 public:
  explicit Groups(std::size_t count) : members_(count), tokens_(count, 0) {}

  void add(std::size_t group, std::size_t member, std::int64_t length) {
    members_[group].push_back(member);
    tokens_[group] += length;
  }
  std::size_t shortest() const {
    return static_cast<std::size_t>(std::min_element(tokens_.begin(), tokens_.end()) - tokens_.begin());
  }
  // Groups from the fewest tokens up.
  std::vector<std::size_t> ascending() const {
    std::vector<std::size_t> order(tokens_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return tokens_[a] < tokens_[b]; });
    return order;
  }
  std::int64_t most_tokens() const { return *std::max_element(tokens_.begin(), tokens_.end()); }
  std::vector<Group> take() {
    for (Group& group : members_) std::sort(group.begin(), group.end());
    return std::move(members_);
  }

 private:
  std::vector<Group> members_;
  std::vector<std::int64_t> tokens_;
};

Groups deal_evenly(std::span<const std::int64_t> lengths, std::size_t count) {
  Groups groups(count);
  for (const std::size_t member : by_length(lengths)) groups.add(groups.shortest(), member, lengths[member]);
  return groups;
}

}  // namespace

std::vector<Group> deal_steps(std::span<const std::int64_t> lengths, std::int64_t batch) {
  const std::size_t steps = lengths.size() / static_cast<std::size_t>(batch);
  if (steps * static_cast<std::size_t>(batch) != lengths.size()) throw internal_error("a window of broken steps");
  const std::vector<std::size_t> order = by_length(lengths);
  Groups groups(steps);
  for (std::size_t begin = 0; begin < order.size(); begin += steps) {
    const std::vector<std::size_t> ascending = groups.ascending();
    for (std::size_t i = 0; i < steps; ++i) groups.add(ascending[i], order[begin + i], lengths[order[begin + i]]);
  }
  return groups.take();
}

std::vector<Group> deal_budget(std::span<const std::int64_t> lengths, std::int64_t budget) {
  if (lengths.empty()) return {};
  if (*std::max_element(lengths.begin(), lengths.end()) > budget) throw internal_error("a sample beyond the budget");
  const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  // Ends at one sample a group at the latest.
  for (auto count = static_cast<std::size_t>((total + budget - 1) / budget);; ++count) {
    Groups groups = deal_evenly(lengths, count);
    if (groups.most_tokens() <= budget) return groups.take();
  }
}

std::vector<Group> deal_ranks(std::span<const std::int64_t> lengths, int ranks) {
  return deal_evenly(lengths, static_cast<std::size_t>(ranks)).take();
}

}  // namespace striate

// Which samples make a step, which of them a rank takes, and which are packed together: so that no step, rank or stream
// waits for a longer one. Pure functions of the samples' lengths; ties go to whichever comes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace striate {

// Positions into the list of lengths, ascending.
using Group = std::vector<std::size_t>;

// Deals lengths.size() = steps * batch samples to `steps` steps of exactly `batch`: sorted from the longest down, each
// round of `steps` samples gives its longest to the step with the fewest tokens so far.
std::vector<Group> deal_steps(std::span<const std::int64_t> lengths, std::int64_t batch);

// Deals samples to groups of at most `budget` tokens, as few as there can be this way: from the longest down, each to
// the group with the fewest tokens so far. No length may exceed the budget.
std::vector<Group> deal_budget(std::span<const std::int64_t> lengths, std::int64_t budget);

// Deals a step's samples to exactly `ranks` ranks, some of which go without when there are too few.
std::vector<Group> deal_ranks(std::span<const std::int64_t> lengths, int ranks);

}  // namespace striate

#include "striate/data/step_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "striate/base/random.h"
#include "striate/data/sample_order.h"

namespace striate {
namespace {

std::vector<std::int64_t> random_lengths(std::size_t count, std::int64_t longest) {
  const RandomStream random(5, "lengths");
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < count; ++i) {
    lengths.push_back(1 + static_cast<std::int64_t>(random.bits(i) % static_cast<std::uint64_t>(longest)));
  }
  return lengths;
}

std::vector<std::int64_t> tokens_of(const std::vector<Group>& groups, const std::vector<std::int64_t>& lengths) {
  std::vector<std::int64_t> tokens;
  for (const Group& group : groups) {
    tokens.push_back(std::accumulate(group.begin(), group.end(), std::int64_t{0},
                                     [&](std::int64_t sum, std::size_t i) { return sum + lengths[i]; }));
  }
  return tokens;
}

void expect_each_once(const std::vector<Group>& groups, std::size_t count) {
  std::vector<std::size_t> all;
  for (const Group& group : groups) {
    EXPECT_TRUE(std::is_sorted(group.begin(), group.end()));
    all.insert(all.end(), group.begin(), group.end());
  }
  std::sort(all.begin(), all.end());
  std::vector<std::size_t> expected(count);
  std::iota(expected.begin(), expected.end(), std::size_t{0});
  EXPECT_EQ(all, expected);
}

TEST(StepPlan, StepsHaveEquallyManySamplesAndNearlyEquallyManyTokens) {
  const std::vector<std::int64_t> lengths = random_lengths(32 * 16, 2000);
  const std::vector<Group> steps = deal_steps(lengths, 16);
  ASSERT_EQ(steps.size(), 32U);
  for (const Group& step : steps) EXPECT_EQ(step.size(), 16U);
  expect_each_once(steps, lengths.size());
  const std::vector<std::int64_t> tokens = tokens_of(steps, lengths);
  const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
  EXPECT_LT(*most, 1.02 * static_cast<double>(*least));
}

TEST(StepPlan, GroupsStayWithinTheBudgetAndAreFew) {
  for (const std::int64_t budget : {2000, 2100, 8192, 100000, 10000000}) {
    const std::vector<std::int64_t> lengths = random_lengths(300, 2000);
    const std::vector<Group> groups = deal_budget(lengths, budget);
    expect_each_once(groups, lengths.size());
    const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    for (const std::int64_t tokens : tokens_of(groups, lengths)) EXPECT_LE(tokens, budget);
    const auto fewest = static_cast<std::size_t>((total + budget - 1) / budget);
    EXPECT_LE(groups.size(), budget > 4000 ? fewest + 1 : 2 * fewest);
  }
  EXPECT_TRUE(deal_budget({}, 10).empty());
}

TEST(StepPlan, RanksShareTheTokensAndSomeMayGoWithout) {
  const std::vector<std::int64_t> lengths = random_lengths(64, 2000);
  const std::vector<Group> ranks = deal_ranks(lengths, 3);
  expect_each_once(ranks, lengths.size());
  const std::vector<std::int64_t> tokens = tokens_of(ranks, lengths);
  EXPECT_LT(*std::max_element(tokens.begin(), tokens.end()) - *std::min_element(tokens.begin(), tokens.end()), 200);
  const std::vector<Group> many = deal_ranks(random_lengths(2, 10), 4);
  ASSERT_EQ(many.size(), 4U);
  EXPECT_TRUE(many[2].empty() && many[3].empty());
}

TEST(SampleOrder, IsAPermutationThatDependsOnSeedAndEpoch) {
  const auto order = epoch_order(1000, 1, 0, true);
  std::set<std::uint32_t> seen(order.begin(), order.end());
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_EQ(*seen.rbegin(), 999U);
  EXPECT_EQ(order, epoch_order(1000, 1, 0, true));
  EXPECT_NE(order, epoch_order(1000, 1, 1, true));
  EXPECT_NE(order, epoch_order(1000, 2, 0, true));
  EXPECT_TRUE(std::ranges::is_sorted(epoch_order(1000, 1, 0, false)));
  EXPECT_EQ(epoch_order(1, 1, 0, true), std::vector<std::uint32_t>{0});
}

// Each of the 6 orders of 3 samples comes up about equally often.
TEST(SampleOrder, IsFair) {
  std::map<std::vector<std::uint32_t>, int> counts;
  for (std::uint64_t seed = 0; seed < 6000; ++seed) ++counts[epoch_order(3, seed, 0, true)];
  ASSERT_EQ(counts.size(), 6U);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace striate

// Ranks as threads of one process; tests/cli/train_ranks_test.cpp has them as processes.
#include "striate/ranks/collective.h"

#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "tests/support/strict_group.h"

namespace striate {
namespace {

using test::on_gloo_ranks;

TEST(Collective, SumsOverRanksInBothTypes) {
  const auto errors = on_gloo_ranks(3, [](Collective& group) {
    const at::Tensor floats = at::full({2, 5}, 1.0 + group.rank(), at::TensorOptions(at::kFloat));
    const at::Tensor doubles = at::full({4}, 0.5, at::TensorOptions(at::kDouble));
    group.sum(floats);
    group.sum(doubles);
    EXPECT_TRUE(at::equal(floats, at::full({2, 5}, 6.0, at::TensorOptions(at::kFloat))));
    EXPECT_TRUE(at::equal(doubles, at::full({4}, 1.5, at::TensorOptions(at::kDouble))));
    group.barrier();
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
}

TEST(Collective, SumsMoreThanOneChunk) {
  const auto errors = on_gloo_ranks(2, [](Collective& group) {
    const at::Tensor big = at::full({(1 << 24) + 3}, 2.0, at::TensorOptions(at::kFloat));
    group.sum(big);
    EXPECT_EQ(big.min().item<float>(), 4.0F);
    EXPECT_EQ(big.max().item<float>(), 4.0F);
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
}

TEST(Collective, SumsNumbersInMainMemory) {
  const auto errors = on_gloo_ranks(3, [](Collective& group) {
    std::vector<double> values = {0.25, 1.0 * group.rank(), 1e300};
    group.sum(values);
    EXPECT_EQ(values, (std::vector<double>{0.75, 3.0, 3e300}));
    group.sum(std::span<double>());
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
}

TEST(Collective, RanksExchangeAndGatherWhileTheyDoOtherThings) {
  for (const int size : {1, 2, 3}) {
    const auto errors = on_gloo_ranks(size, [size](Collective& group) {
      const at::TensorOptions floats(at::kFloat);
      const at::Tensor sent = at::full({size, 4}, 10.0 * group.rank(), floats);
      for (int to = 0; to < size; ++to) sent[to].add_(to);
      const at::Tensor received = at::full({size, 4}, -1.0, floats), all = at::full({size, 4}, -1.0, floats);
      const at::Tensor own = at::full({4}, 100.0 + group.rank(), floats);
      const auto exchange = group.begin_exchange(sent, received);
      const auto gather = group.begin_gather(own, all);
      const at::Tensor one = at::full({1}, 1.0, floats);
      group.sum(one);
      gather->wait();
      exchange->wait();
      EXPECT_EQ(one.item<float>(), static_cast<float>(size));
      for (int from = 0; from < size; ++from) {
        EXPECT_TRUE(at::equal(received[from], at::full({4}, 10.0 * from + group.rank(), floats)));
        EXPECT_TRUE(at::equal(all[from], at::full({4}, 100.0 + from, floats)));
      }
      group.finish();
    });
    EXPECT_EQ(join(errors, ""), "");
  }
}

TEST(Collective, EveryRankLearnsWhetherAllGaveTheSame) {
  const auto errors = on_gloo_ranks(3, [](Collective& group) {
    EXPECT_TRUE(group.agree("the same plan"));
    EXPECT_FALSE(group.agree(cat("plan ", group.rank())));  // of whose sums one rank may well be the mean
    EXPECT_FALSE(group.agree(group.rank() == 2 ? "another" : "the same"));
    EXPECT_TRUE(group.agree(""));
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
}

TEST(Collective, RanksKnowHowManyAreOnTheirMachine) {
  const auto errors = on_gloo_ranks(3, [](Collective& group) {
    EXPECT_EQ(group.ranks_here(), 3);
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
  EXPECT_EQ(join_ranks({}, at::kCPU)->ranks_here(), 1);
}

TEST(Collective, AFailureReachesTheOthersWithItsReason) {
  const auto errors = on_gloo_ranks(3, [](Collective& group) {
    if (group.rank() == 1) {
      group.report_failure("sample 7 has no picture");
      throw invalid_input("own error");
    }
    const at::Tensor one = at::full({1}, 1.0, at::TensorOptions(at::kFloat));
    group.sum(one);
    group.finish();
  });
  EXPECT_EQ(errors[1], "own error");
  for (const int rank : {0, 2}) {
    EXPECT_THAT(errors[static_cast<std::size_t>(rank)], testing::HasSubstr("rank 1 has failed: sample 7"));
  }
}

TEST(Collective, AProcessAloneNeedsNobody) {
  const auto alone = join_ranks({}, at::kCPU);
  const at::Tensor one = at::full({1}, 1.0, at::TensorOptions(at::kFloat));
  alone->sum(one);
  alone->barrier();
  alone->finish();
  EXPECT_EQ(one.item<float>(), 1.0F);
  EXPECT_TRUE(alone->agree("itself"));
  EXPECT_EQ(alone->size(), 1);
}

}  // namespace
}  // namespace striate

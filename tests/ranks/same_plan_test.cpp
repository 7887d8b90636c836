#include "striate/ranks/same_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/ranks/collective.h"
#include "tests/support/errors.h"
#include "tests/support/ports.h"

namespace striate {
namespace {

using testing::Each;
using testing::HasSubstr;

// Runs `body` on every rank of a group; what each of them threw, or "".
std::vector<std::string> on_ranks(int size, const std::function<void(Collective&)>& body) {
  std::vector<std::string> errors(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  const int port = test::free_port();
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      Ranks ranks;
      ranks.rank = rank;
      ranks.size = size;
      ranks.port = port;
      try {
        const auto collective = join_ranks(ranks, at::kCPU);
        body(*collective);
      } catch (const Error& error) {
        errors[static_cast<std::size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

TEST(SamePlan, NamesTheRankThatDiffersAndInWhat) {
  const auto errors = on_ranks(3, [](Collective& group) {
    const nlohmann::json plan = {{"seed", 1}, {"data", group.rank() == 2 ? "bbbb" : "aaaa"}};
    check_same_plan(plan, *group.open_exchange("plan"));
  });
  EXPECT_THAT(errors, Each(HasSubstr("rank 2 has another plan than rank 0: data is bbbb there "
                                     "and aaaa on rank 0")));
}

TEST(SamePlan, RanksThatAgreeGoOn) {
  const auto errors = on_ranks(2, [](Collective& group) {
    check_same_plan({{"seed", 1}, {"lr", 1e-4}}, *group.open_exchange("plan"));
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
}

TEST(SamePlan, ExchangesOfTwoNamesDoNotMeetAndTextsMayBeLong) {
  const auto errors = on_ranks(2, [](Collective& group) {
    const auto first = group.open_exchange("first");
    const auto second = group.open_exchange("second");
    const std::string mine(300'000 + static_cast<std::size_t>(group.rank()), 'x');
    for (int round = 0; round < 5; ++round) {
      // One rank begins with the one, the other with the other: they wait on threads of their own.
      std::thread beside([&] {
        EXPECT_EQ(first->all(cat("first ", round, group.rank()), {}),
                  (std::vector<std::string>{cat("first ", round, 0), cat("first ", round, 1)}));
      });
      const std::vector<std::string> texts = second->all(mine, {});
      beside.join();
      EXPECT_EQ(texts[0].size(), 300'000U);
      EXPECT_EQ(texts[1].size(), 300'001U);
    }
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
}

TEST(SamePlan, AnExchangeEndsWhenItIsToldTo) {
  const auto errors = on_ranks(2, [](Collective& group) {
    const auto exchange = group.open_exchange("half");
    if (group.rank() == 1) {
      std::stop_source stop;
      stop.request_stop();
      EXPECT_ERROR(exchange->all("mine", stop.get_token()), "the run ended");
    }
    group.finish();
  });
  EXPECT_EQ(join(errors, ""), "");
}

}  // namespace
}  // namespace striate

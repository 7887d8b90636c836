// What a generated token may cost on a GPU besides arithmetic, counted on the pretend device.
#include <gtest/gtest.h>

#include "striate/infer/generate.h"
#include "striate/text/conversation.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/test_device.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

// The counts of an answer of `tokens` to the same prompt.
DeviceCounts counts_of_answer(const Lvlm& model, std::int64_t tokens) {
  Generator generator(model, nullptr);
  GenerationOptions options;
  options.max_tokens = tokens;
  const Sample prompt{{1, 5, kImageToken, 9, 30}, {}, {tiny_image(0)}};
  static int answers = 0;
  const std::string name = "answer " + std::to_string(++answers);
  {
    const CountedSection section(name);
    EXPECT_EQ(generator.generate(prompt, options).ids.size(), static_cast<std::size_t>(tokens));
  }
  return counts_of(name);
}

struct TokenCosts {
  std::int64_t waits, bytes_back, waited_up, launches;
};

// Of each token after the fourth, which the prompt has no part in.
TokenCosts costs_of_a_token(std::int64_t layers) {
  const auto model = tiny_model_on({pretend_device(), Compute::kBFloat16}, {.layers = layers});
  const DeviceCounts few = counts_of_answer(*model, 4);
  const DeviceCounts more = counts_of_answer(*model, 14);
  EXPECT_EQ(more.to_device.pinned, more.to_device.copies);
  return {(more.waits - few.waits) / 10, (more.to_host.bytes - few.to_host.bytes) / 10,
          (more.to_device.waited - few.to_device.waited) / 10, (more.launches - few.launches) / 10};
}

TEST(DecodeBudget, ATokenWaitsOnceAndBringsBackNothingButItself) {
  STRIATE_REQUIRE_NO_GPU();
  const TokenCosts costs = costs_of_a_token(3);
  EXPECT_EQ(costs.waits, 1);
  EXPECT_EQ(costs.bytes_back, 8);
  EXPECT_EQ(costs.waited_up, 0);
}

TEST(DecodeBudget, LaunchesOfALayer) {
  STRIATE_REQUIRE_NO_GPU();
  const std::int64_t layer = (costs_of_a_token(6).launches - costs_of_a_token(3).launches) / 3;
  EXPECT_LE(layer, 11);
  const std::int64_t token = costs_of_a_token(4).launches;
  EXPECT_LE(token, 54) << "docs/gpu.md";
}

}  // namespace
}  // namespace striate::test

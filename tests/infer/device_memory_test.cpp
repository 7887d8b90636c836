// Answers that a device has no room for: an error that says so, and the next answer is as it would have been.
#include <gtest/gtest.h>

#include "striate/infer/generate.h"
#include "striate/tensor/torch_errors.h"
#include "striate/text/conversation.h"
#include "tests/support/pretend_device/pretend_device.h"
#include "tests/support/test_device.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

TEST(GeneratorMemory, AnAnswerWithoutRoomFailsAndTheNextIsWhole) {
  STRIATE_REQUIRE_NO_GPU();
  const auto model = tiny_model_on({pretend_device(), Compute::kBFloat16});
  Generator generator(*model, nullptr);
  GenerationOptions options;
  options.max_tokens = 6;
  const Sample prompt{{1, 5, kImageToken, 9, 30}, {}, {tiny_image(0)}};
  const std::vector<std::int64_t> whole = generator.generate(prompt, options).ids;
  int failed = 0;
  for (std::int64_t room = 0; room < 64'000; room += 4'000) {
    const DeviceMemoryLimit limit(room);
    try {
      EXPECT_EQ(generator.generate(prompt, options).ids, whole) << room;
    } catch (const std::exception& error) {
      EXPECT_EQ(explain(error).exit_code(), 1) << error.what();
      EXPECT_EQ(explain(error).kind(), ErrorKind::kResource) << error.what();
      ++failed;
    }
  }
  EXPECT_GT(failed, 0);
  EXPECT_EQ(generator.generate(prompt, options).ids, whole);
}

}  // namespace
}  // namespace striate::test

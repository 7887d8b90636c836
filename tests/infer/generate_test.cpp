#include "striate/infer/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/text/conversation.h"
#include "tests/support/errors.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

Sample sample(std::vector<std::int64_t> ids, std::vector<at::Tensor> images = {}) {
  return {std::move(ids), {}, std::move(images)};
}

GenerationOptions greedy(std::int64_t max_tokens) {
  GenerationOptions options;
  options.max_tokens = max_tokens;
  return options;
}

// Greedy generation without a cache: a whole forward pass for every token.
std::vector<std::int64_t> generate_slowly(const Lvlm& model, Sample prompt, std::int64_t count) {
  std::vector<std::int64_t> ids;
  for (std::int64_t i = 0; i < count; ++i) {
    const at::Tensor stream = model.forward(pack(std::span(&prompt, 1)));
    ids.push_back(model.logits(stream.slice(0, -1)).argmax().item<std::int64_t>());
    prompt.input_ids.push_back(ids.back());
  }
  return ids;
}

struct CacheCase {
  const char* name;
  TinyModelOptions options;
};

class Cache : public testing::TestWithParam<CacheCase> {};

TEST_P(Cache, CachedGenerationEqualsWholeForwardPasses) {
  const auto model = tiny_model(GetParam().options);
  Generator generator(*model, nullptr);
  const Sample prompt = sample({1, 5, kImageToken, 9, 30, kImageToken, 7}, {tiny_image(0), tiny_image(1)});
  const GenerationResult result = generator.generate(prompt, greedy(12));
  EXPECT_EQ(result.ids, generate_slowly(*model, prompt, 12));
  EXPECT_EQ(result.prompt_tokens, 13);
  EXPECT_EQ(result.stop, StopReason::kMaxTokens);
}

INSTANTIATE_TEST_SUITE_P(Decoders, Cache,
                         testing::Values(CacheCase{"Llama", {}}, CacheCase{"LlamaMultiHead", {.kv_heads = 4}},
                                         CacheCase{"Phi3", {.kind = DecoderKind::kPhi3}},
                                         CacheCase{"Phi3Window", {.kind = DecoderKind::kPhi3, .sliding_window = 6}}),
                         [](const auto& info) { return info.param.name; });

TEST(Generator, ReusesTheCommonBeginningOfThePrompt) {
  const auto model = tiny_model();
  Generator generator(*model, nullptr);
  const at::Tensor image = tiny_image(0);
  const Sample first = sample({1, kImageToken, 5, 6}, {image});
  const GenerationResult answer = generator.generate(first, greedy(4));
  Sample second = first;
  second.input_ids.insert(second.input_ids.end(), answer.ids.begin(), answer.ids.end());
  second.input_ids.push_back(11);
  const GenerationResult next = generator.generate(second, greedy(4));
  // The last generated token was never fed: everything before it is in the cache.
  EXPECT_EQ(next.reused_tokens, 7 + 3);
  EXPECT_EQ(next.ids, generate_slowly(*model, second, 4));
}

TEST(Generator, AnotherImageAtTheSamePlaceIsNotReused) {
  const auto model = tiny_model();
  Generator generator(*model, nullptr);
  generator.generate(sample({1, kImageToken, 5, 6}, {tiny_image(0)}), greedy(4));
  const Sample other = sample({1, kImageToken, 5, 6}, {tiny_image(1)});
  const GenerationResult result = generator.generate(other, greedy(4));
  EXPECT_EQ(result.reused_tokens, 1);
  EXPECT_EQ(result.ids, generate_slowly(*model, other, 4));
}

TEST(Generator, StopsAtAnEndTokenAndKeepsItInTheIds) {
  const auto model = tiny_model();
  Generator generator(*model, nullptr);
  const Sample prompt = sample({1, 5, 6});
  const std::vector<std::int64_t> free_run = generate_slowly(*model, prompt, 6);
  GenerationOptions options = greedy(6);
  options.eos_ids = {free_run[2]};
  const GenerationResult result = generator.generate(prompt, options);
  const auto first = std::find(free_run.begin(), free_run.end(), free_run[2]) - free_run.begin();
  EXPECT_EQ(result.stop, StopReason::kEos);
  EXPECT_EQ(result.ids.size(), static_cast<std::size_t>(first) + 1);
}

TEST(Generator, EndsWhereTheContextEnds) {
  const auto model = tiny_model({.max_positions = 8});
  Generator generator(*model, nullptr);
  const GenerationResult result = generator.generate(sample({1, 5, 6}), greedy(100));
  EXPECT_EQ(result.stop, StopReason::kContext);
  EXPECT_EQ(result.ids.size(), 6U);  // five fit after the prompt, the sixth is chosen from the last position
}

TEST(Generator, RefusesAPromptLongerThanTheContext) {
  const auto model = tiny_model({.max_positions = 8});
  Generator generator(*model, nullptr);
  try {
    generator.generate(sample({1, kImageToken, kImageToken, 5}, {tiny_image(0), tiny_image(1)}), greedy(1));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput);
    EXPECT_THAT(error.what(), testing::HasSubstr("the prompt has 10 tokens, but the context has only 8"));
  }
}

TEST(Generator, TheContextCanBeSmallerThanTheModelsButNotLarger) {
  const auto model = tiny_model({.max_positions = 64});
  Generator generator(*model, nullptr, {.context = 5});
  EXPECT_EQ(generator.generate(sample({1, 5, 6}), greedy(100)).ids.size(), 3U);
  EXPECT_ERROR(Generator(*model, nullptr, {.context = 65}), "a context of 65 tokens");
  EXPECT_ERROR(Generator(*model, nullptr, {.context = 0}), "a context of 0 tokens");
}

TEST(Generator, RefusesImagesThatDoNotMatchThePrompt) {
  const auto model = tiny_model();
  Generator generator(*model, nullptr);
  EXPECT_ERROR(generator.generate(sample({1, kImageToken, kImageToken}, {tiny_image(0)}), greedy(1)),
               "2 <image> and 1 images");
  EXPECT_ERROR(generator.generate(sample({1, 5}, {tiny_image(0)}), greedy(1)), "0 <image> and 1 images");
  EXPECT_ERROR(generator.generate(sample({}), greedy(1)), "the prompt is empty");
}

TEST(Generator, RefusesATokenOutsideTheVocabulary) {
  const auto model = tiny_model();
  Generator generator(*model, nullptr);
  EXPECT_ERROR(generator.generate(sample({1, 96}), greedy(1)), "token id 96");
}

TEST(Generator, TheSameSeedDrawsTheSameAnswerAndAnotherSeedAnother) {
  const auto model = tiny_model();
  const Sample prompt = sample({1, 5, 6});
  const auto draw = [&](std::uint64_t seed) {
    Generator generator(*model, nullptr);
    GenerationOptions options = greedy(24);
    options.sampling.temperature = 1.5;
    options.sampling.seed = seed;
    return generator.generate(prompt, options).ids;
  };
  EXPECT_EQ(draw(3), draw(3));
  EXPECT_NE(draw(3), draw(4));
}

}  // namespace
}  // namespace striate::test

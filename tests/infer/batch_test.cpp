// Many prompts at a time: answers equal those of one prompt at a time, and what prompts share is computed once.
#include <ATen/ops/log_softmax.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "striate/infer/generate.h"
#include "striate/text/conversation.h"
#include "tests/support/errors.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

GenerationJob job(std::vector<std::int64_t> ids, std::vector<at::Tensor> images = {}, std::int64_t max_tokens = 9) {
  GenerationJob made{{std::move(ids), {}, std::move(images)}, {}};
  made.options.max_tokens = max_tokens;
  return made;
}

// Prompts of several lengths, with and without pictures, of which some begin alike.
std::vector<GenerationJob> mixed_jobs() {
  const at::Tensor first = tiny_image(0), second = tiny_image(1);
  std::vector<GenerationJob> jobs = {job({1, 5, kImageToken, 9, 30}, {first}),
                                     job({1, 5, kImageToken, 9, 31, 7}, {first}),
                                     job({1, 5, kImageToken, 9, 30}, {second}),
                                     job({1}, {}, 3),
                                     job({1, 8, 9, 10, 11, 12}, {}, 1),
                                     job({1, 8, 9, 10, 11, 12, 40, 41, 42, 43}, {}, 14),
                                     job({1, 8, 9, 10, 11, 12, 40, 41, 42, 43}, {}, 14),
                                     job({2, kImageToken, kImageToken}, {first, second}),
                                     job({1, 5, kImageToken, 9, 30, 3}, {second}, 20)};
  for (std::int64_t i = 0; i < 6; ++i) jobs.push_back(job({1, 20, 21 + i % 3, 50 + i}));
  return jobs;
}

std::map<std::size_t, GenerationResult> run_all(Generator& generator, const std::vector<GenerationJob>& jobs) {
  std::size_t next = 0;
  std::map<std::size_t, GenerationResult> results;
  generator.run(
      [&]() -> std::optional<GenerationJob> {
        if (next == jobs.size()) return std::nullopt;
        return jobs[next++];
      },
      [&](std::size_t number, GenerationResult result) {
        EXPECT_TRUE(results.emplace(number, std::move(result)).second) << "answered twice: " << number;
      });
  return results;
}

struct BatchCase {
  const char* name;
  TinyModelOptions model;
  GenerationLimits limits;
};

class Batch : public testing::TestWithParam<BatchCase> {};

TEST_P(Batch, AnswersEqualThoseOfOnePromptAtATime) {
  const auto model = tiny_model(GetParam().model);
  const std::vector<GenerationJob> jobs = mixed_jobs();
  Generator together(*model, nullptr, GetParam().limits);
  const auto results = run_all(together, jobs);
  ASSERT_EQ(results.size(), jobs.size());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    Generator alone(*model, nullptr);
    const GenerationResult want = alone.generate(jobs[i].prompt, jobs[i].options);
    EXPECT_EQ(results.at(i).ids, want.ids) << "prompt " << i;
    EXPECT_EQ(results.at(i).stop, want.stop) << "prompt " << i;
    EXPECT_EQ(results.at(i).prompt_tokens, want.prompt_tokens) << "prompt " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Limits, Batch,
    testing::Values(BatchCase{"OneAtATime", {}, {}}, BatchCase{"ThreePlaces", {}, {.sequences = 3}},
                    BatchCase{"AllAtOnce", {}, {.sequences = 32}},
                    BatchCase{"ShortPasses", {}, {.sequences = 32, .tokens_per_pass = 7}},
                    BatchCase{"LittleMemory", {}, {.sequences = 32, .cache_bytes = 40'000}},
                    BatchCase{"NoMemoryBeyondOne", {}, {.sequences = 32, .cache_bytes = 1}},
                    BatchCase{"Phi3", {.kind = DecoderKind::kPhi3}, {.sequences = 5}},
                    BatchCase{"Window", {.kind = DecoderKind::kPhi3, .sliding_window = 6}, {.sequences = 5}}),
    [](const auto& info) { return info.param.name; });

TEST(Generator, ABeginningThatPromptsShareIsComputedOnce) {
  const auto model = tiny_model();
  const at::Tensor image = tiny_image(0);
  std::vector<std::int64_t> shared = {1, kImageToken};
  for (std::int64_t i = 0; i < 20; ++i) shared.push_back(10 + i);
  std::vector<GenerationJob> jobs;
  for (std::int64_t i = 0; i < 8; ++i) {
    std::vector<std::int64_t> ids = shared;
    ids.push_back(40 + i);
    jobs.push_back(job(ids, {image}, 2));
  }
  const std::int64_t places = 1 + image.size(0) + 20;
  Generator generator(*model, nullptr, {.sequences = 8});
  std::int64_t computed = 0;
  for (const auto& [number, result] : run_all(generator, jobs)) {
    EXPECT_EQ(result.reused_tokens, number == 0 ? 0 : places) << "prompt " << number;
    computed += result.prompt_tokens - result.reused_tokens;
  }
  EXPECT_EQ(computed, places + 8);
}

TEST(Generator, LogProbabilitiesOfContinuationsEqualThoseOfWholeForwardPasses) {
  const auto model = tiny_model();
  GenerationJob asked = job({1, 5, kImageToken, 9, 30}, {tiny_image(0)});
  asked.continuations = {{7}, {8, 9, 10}, {}, {7, 11}};
  Generator generator(*model, nullptr, {.sequences = 4});
  const auto results = run_all(generator, {asked, job({1, 2, 3}), asked});
  for (const std::size_t number : {0U, 2U}) {
    const std::vector<double>& found = results.at(number).log_probabilities;
    ASSERT_EQ(found.size(), asked.continuations.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      Sample whole = asked.prompt;
      const auto& ids = asked.continuations[i];
      whole.input_ids.insert(whole.input_ids.end(), ids.begin(), ids.end());
      const at::Tensor logits = model->logits(model->forward(pack(std::span(&whole, 1))));
      const at::Tensor log_probs = at::log_softmax(logits, 1);
      double want = 0;
      const auto begin = logits.size(0) - static_cast<std::int64_t>(ids.size()) - 1;
      for (std::size_t k = 0; k < ids.size(); ++k) {
        want += log_probs[begin + static_cast<std::int64_t>(k)][ids[k]].item<double>();
      }
      EXPECT_NEAR(found[i], want, 1e-4) << "continuation " << i;
    }
    EXPECT_TRUE(results.at(number).ids.empty());
  }
}

TEST(Generator, APromptIsTakenOnlyWhenThereIsAPlaceForIt) {
  const auto model = tiny_model();
  Generator generator(*model, nullptr, {.sequences = 2});
  std::int64_t taken = 0, ended = 0;
  generator.run(
      [&]() -> std::optional<GenerationJob> {
        EXPECT_LE(taken - ended, 2);
        if (taken == 7) return std::nullopt;
        return job({1, 30 + taken++}, {}, 4);
      },
      [&](std::size_t, const GenerationResult&) { ++ended; });
  EXPECT_EQ(ended, 7);
}

TEST(Generator, SampledAnswersDoNotDependOnWhatElseIsUnderWay) {
  const auto model = tiny_model();
  std::vector<GenerationJob> jobs;
  for (std::uint64_t i = 0; i < 6; ++i) {
    jobs.push_back(job({1, 30, 31}));
    jobs.back().options.sampling = {.temperature = 1.5, .seed = i};
  }
  Generator together(*model, nullptr, {.sequences = 6});
  const auto results = run_all(together, jobs);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    Generator alone(*model, nullptr);
    EXPECT_EQ(results.at(i).ids, alone.generate(jobs[i].prompt, jobs[i].options).ids);
  }
}

TEST(Generator, AfterAPromptThatIsRefusedTheGeneratorStillAnswers) {
  const auto model = tiny_model();
  Generator generator(*model, nullptr, {.sequences = 3});
  const std::vector<GenerationJob> good = {job({1, 5, 6}), job({1, 5, 7})};
  const auto before = run_all(generator, good);
  EXPECT_ERROR(run_all(generator, {job({1, 5, 6, 8}), job({1, 5, 96})}), "token id 96");
  const auto after = run_all(generator, good);
  for (std::size_t i = 0; i < good.size(); ++i) EXPECT_EQ(after.at(i).ids, before.at(i).ids);
}

}  // namespace
}  // namespace striate::test

// Many prompts at a time, on every golden's model: the answers of one prompt at a time, and those of the goldens.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "striate/infer/generate.h"
#include "tests/parity/golden.h"

namespace striate::test {
namespace {

class BatchedParity : public testing::TestWithParam<std::filesystem::path> {};

// The golden's prompt first, then beginnings of every sample behind its pictures, so that prompts share what they begin
// with and differ in length.
std::vector<GenerationJob> golden_prompts(const Golden& golden, const Lvlm& model) {
  std::vector<GenerationJob> jobs;
  const auto add = [&](const Sample& sample, std::size_t length) {
    GenerationJob job{{sample.input_ids, {}, sample.images}, {}};
    job.prompt.input_ids.resize(length);
    job.options.max_tokens = golden.load("generated").numel();
    jobs.push_back(std::move(job));
  };
  const std::vector<Sample> samples = golden.samples(model);
  add(samples.front(), static_cast<std::size_t>(golden.load("prompt_len").item<std::int64_t>()));
  for (const Sample& sample : samples) {
    const auto last_picture = std::find(sample.input_ids.rbegin(), sample.input_ids.rend(), kImageToken);
    const auto shortest = static_cast<std::size_t>(sample.input_ids.rend() - last_picture) + 1;
    for (std::size_t length = shortest; length <= sample.input_ids.size(); length += 2) add(sample, length);
  }
  return jobs;
}

TEST_P(BatchedParity, AnswersAreThoseOfOnePromptAtATimeAndTheGoldens) {
  const Golden golden(GetParam());
  const auto model = load_golden_model(golden, Compute::kFloat32);
  const std::vector<GenerationJob> jobs = golden_prompts(golden, *model);
  ASSERT_GT(jobs.size(), 3U);
  Generator together(*model, nullptr, {.sequences = 5, .tokens_per_pass = 40});
  std::vector<GenerationResult> results(jobs.size());
  std::size_t next = 0, done = 0;
  together.run(
      [&]() -> std::optional<GenerationJob> {
        if (next == jobs.size()) return std::nullopt;
        return jobs[next++];
      },
      [&](std::size_t job, GenerationResult result) {
        results.at(job) = std::move(result);
        ++done;
      });
  ASSERT_EQ(done, jobs.size());
  golden.compare("generated", at::tensor(results.front().ids, at::kLong));
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    Generator alone(*model, nullptr);
    EXPECT_EQ(results[i].ids, alone.generate(jobs[i].prompt, jobs[i].options).ids) << "prompt " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Goldens, BatchedParity, testing::ValuesIn(Golden::cases_with("prompt_len")), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BatchedParity);

}  // namespace
}  // namespace striate::test

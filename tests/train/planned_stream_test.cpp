// The stream that plan and run estimate.
#include "striate/train/planned_stream.h"

#include <gtest/gtest.h>

#include "striate/model/architectures.h"

namespace striate {
namespace {

ModelConfig llava() {
  return find_architecture("llava-1.5-7b").config;  // 576 rows a picture
}

TEST(PlannedStream, TheUsualSampleIsAPictureAndSomeText) {
  const SampleMeans sample = usual_sample(llava());
  EXPECT_EQ(sample.tokens, 576 + 192);
  EXPECT_EQ(sample.longest, 576 + 192);
  EXPECT_EQ(sample.targets, 64);
  EXPECT_EQ(sample.images, 1);
  const SampleMeans text = usual_sample(llava(), /*picture=*/false);
  EXPECT_EQ(text.tokens, 192);
  EXPECT_EQ(text.images, 0);
}

TEST(PlannedStream, HoldsAsManyAverageSamplesAsFit) {
  const PlannedStream stream =
      planned_stream(llava(), {800, 100, 1, 900}, {.tokens_per_stream = 8192, .batch = 128, .tokens_per_step = 0});
  EXPECT_EQ(stream.tokens, 8192);
  EXPECT_EQ(stream.samples, 10);
  EXPECT_EQ(stream.image_rows, 10 * 576);
  EXPECT_EQ(stream.targets, 1000);
  EXPECT_EQ(stream.longest, 900);
}

TEST(PlannedStream, IsNoLongerThanARanksShareOfAStepOfTheLongestSamples) {
  const SampleMeans sample = {800, 100, 1, 1000};
  const auto tokens = [&](StreamLimits limits) { return planned_stream(llava(), sample, limits).tokens; };
  EXPECT_EQ(tokens({.tokens_per_stream = 8192, .batch = 4}), 4000);
  EXPECT_EQ(tokens({.tokens_per_stream = 8192, .batch = 4, .ranks = 2}), 2000);
  EXPECT_EQ(tokens({.tokens_per_stream = 8192, .tokens_per_step = 5001, .ranks = 2}), 2501);
  EXPECT_EQ(tokens({.tokens_per_stream = 8192, .batch = 1, .ranks = 4}), 800);  // a sample is not divided
}

TEST(PlannedStream, PicturesDoNotTakeMoreRowsThanThereAreTokens) {
  const PlannedStream stream = planned_stream(llava(), {600, 10, 2, 600}, {.tokens_per_stream = 1200, .batch = 128});
  EXPECT_EQ(stream.image_rows, 1200);
}

TEST(PlannedStream, ASketchWithoutAGoodSampleIsTakenForTheUsualSample) {
  DataSketch sketch{.samples = 9, .looked_at = 9, .bad = 3, .tokens = 50, .targets = 7, .images = 0.5, .longest = 99};
  EXPECT_EQ(sample_means(sketch, llava()).tokens, 50);
  EXPECT_EQ(sample_means(sketch, llava()).longest, 99);
  sketch.bad = 9;
  EXPECT_EQ(sample_means(sketch, llava()).tokens, usual_sample(llava()).tokens);
}

}  // namespace
}  // namespace striate

#include "striate/data/data_sketch.h"

#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/data/data_check.h"
#include "striate/model/picture_settings.h"
#include "tests/data/small_world.h"
#include "tests/support/errors.h"

namespace striate {
namespace {

class DataSketchTest : public testing::Test {
 protected:
  DataSketch sketch(std::int64_t most) const {
    return sketch_data(world_.model().config(), world_.tokenizer(), world_.data(), TemplateKind::kVicunaV1, 1024, most);
  }

  test::SmallWorld world_{60};
};

TEST_F(DataSketchTest, OfAllSamplesSaysWhatTheCheckSays) {
  DataCheckOptions options;
  options.data = world_.data();
  options.images = world_.images();
  options.preprocess = preprocess_config(world_.model().config(), {});
  options.max_tokens = 1024;
  const DataReport report = check_data(world_.model().config(), world_.tokenizer(), options);
  const DataSketch sketch = this->sketch(100);
  EXPECT_EQ(sketch.samples, 60);
  EXPECT_EQ(sketch.looked_at, 60);
  EXPECT_EQ(sketch.bad, 0);
  EXPECT_DOUBLE_EQ(sketch.tokens * 60, static_cast<double>(report.tokens));
  EXPECT_DOUBLE_EQ(sketch.targets * 60, static_cast<double>(report.targets));
  EXPECT_DOUBLE_EQ(sketch.images * 60, static_cast<double>(report.images));
  EXPECT_EQ(sketch.longest, report.longest);
}

TEST_F(DataSketchTest, OfAShareIsNearAndOpensNoPicture) {
  std::filesystem::remove_all(world_.images());
  const DataSketch whole = sketch(60);
  const DataSketch share = sketch(20);
  EXPECT_EQ(share.samples, 60);
  EXPECT_EQ(share.looked_at, 20);
  EXPECT_NEAR(share.tokens / whole.tokens, 1, 0.2);
}

TEST_F(DataSketchTest, BadSamplesAreCountedAndAFileOfNothingElseIsRefused) {
  nlohmann::json samples = world_.samples();
  samples[0]["conversations"] = 7;
  world_.write_data(samples);
  EXPECT_EQ(sketch(60).bad, 1);
  world_.write_data(nlohmann::json::array({samples[0]}));
  EXPECT_ERROR(sketch(60), "none of 1 samples is good");
}

}  // namespace
}  // namespace striate

// Exports and reversions as requests: what they write, what they tell, what they refuse.
#include "striate/edit/export_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/strings.h"
#include "striate/edit/revert_model.h"
#include "striate/region/score_file.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class Exports : public testing::Test {
 protected:
  Exports() {
    make_checkpoint(path("model"));
    make_adapter(path("adapter"), open_small(path("model")), {1, 3});
  }
  fs::path path(const std::string& name) const { return home_.path() / name; }
  ExportRequest request(bool with_adapter) const {
    ExportRequest r;
    r.model.model = path("model");
    if (with_adapter) r.model.adapter = path("adapter");
    r.output.out = path("out");
    return r;
  }

  TemporaryFolder home_;
};

TEST_F(Exports, AModelWithItsAdapterMergedIsWrittenAndCompared) {
  const ModelExport result = export_model(request(true));
  EXPECT_EQ(result.layers, 5);
  ASSERT_TRUE(result.check);
  EXPECT_LE(result.check->difference.relative(), result.check->tolerance);
  EXPECT_EQ(tensor_names(path("out")).size(), result.written.tensors);
  EXPECT_FALSE(fs::exists(path("out") / "adapter_config.json"));
}

TEST_F(Exports, NothingIsComparedWhereThatIsNotAskedFor) {
  ExportRequest quick = request(false);
  quick.output.verify = false;
  EXPECT_FALSE(export_model(quick).check);
  EXPECT_TRUE(fs::exists(path("out") / "config.json"));
}

TEST_F(Exports, AnAdapterIsWrittenAlone) {
  const AdapterExport result = export_adapter(request(true));
  EXPECT_THAT(result.layers, ElementsAre(1, 3));
  EXPECT_EQ(result.rank, 3);
  EXPECT_EQ(result.matrices, 28U) << "A and B of seven linears of two layers";
  EXPECT_TRUE(result.beside);
  EXPECT_TRUE(result.check);
  EXPECT_FALSE(fs::exists(path("out") / "config.json"));
}

TEST_F(Exports, WhatCannotBeWrittenLeavesNothingBehind) {
  EXPECT_ERROR(export_adapter(request(false)), "`format` peft writes an adapter, and none was given");
  EXPECT_FALSE(fs::exists(path("out")));
  fs::create_directories(path("out") / "something");
  EXPECT_ERROR(export_model(request(false)), "exists and is not empty");
}

TEST_F(Exports, LayersOfAnAdapterGoBackToTheBase) {
  RevertRequest revert;
  revert.model.model = path("adapter");  // its folder in place of a model's
  revert.base = path("model");
  revert.layers = "3";
  revert.output.out = path("reverted");
  const RevertResult result = revert_model(revert);
  EXPECT_FALSE(result.written);
  EXPECT_THAT(result.layers, ElementsAre(3));
  EXPECT_THAT(result.adapter_layers, ElementsAre(1));
  EXPECT_TRUE(result.check);
  revert.base.reset();
  EXPECT_ERROR(revert_model(revert), "is an adapter, and the model it was tuned on was not given");
}

TEST_F(Exports, LayersOfAModelGoBackToTheBase) {
  make_checkpoint(path("tuned"), {.seed = 9});
  RevertRequest revert;
  revert.model.model = path("tuned");
  revert.layers = "0,4";
  revert.output.out = path("reverted");
  EXPECT_ERROR(revert_model(revert), "needs the model as it was before tuning");
  revert.base = path("model");
  const RevertResult result = revert_model(revert);
  ASSERT_TRUE(result.written);
  EXPECT_THAT(result.layers, ElementsAre(0, 4));
  EXPECT_TRUE(fs::exists(path("reverted") / "config.json"));
}

TEST_F(Exports, LayersGoBackByScoresOfTheirOwnDecoderAlone) {
  make_checkpoint(path("tuned"), {.seed = 9});
  ScoreFile scores{.model = "m", .layers = 5, .samples = 1};
  scores.metrics["bi"] = {.mean = {0.1, 0.5, 0.2, 0.4, 0.3}};
  scores.decoder = decoder_shape(open_small(path("tuned")).config.decoder);
  ScoreFile others = scores;
  others.decoder->hidden *= 2;
  write_file(path("scores.json"), score_file_json(scores).dump());
  write_file(path("others.json"), score_file_json(others).dump());
  RevertRequest revert;
  revert.base = path("model");
  revert.output.out = path("reverted");
  revert.layers = cat("score:", path("others.json").string(), ":bi:2");
  for (const char* model : {"tuned", "adapter"}) {
    revert.model.model = path(model);
    EXPECT_ERROR(revert_model(revert), "is for another model (m) with a decoder of another shape");
  }
  revert.model.model = path("tuned");
  revert.layers = cat("score:", path("scores.json").string(), ":bi:2");
  EXPECT_THAT(revert_model(revert).layers, ElementsAre(1, 3));
}

}  // namespace
}  // namespace striate::test

#include "striate/model/model_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::ElementsAre;

class Record : public testing::Test {
 protected:
  std::optional<ModelRecord> read(const std::string& text) {
    write_file(folder_.path() / "striate.json", text);
    return ModelRecord::find(folder_.path());
  }

  test::TemporaryFolder folder_;
};

TEST_F(Record, IsReadAsItWasWritten) {
  ModelRecord base;
  base.set_made_by("striate prune", "1.2");
  base.set_origin(LayerSet(6, {0, 2, 3, 5}), {4});
  ModelRecord adapter;
  adapter.set_region(LayerSet(4, {1}));
  ModelRecord record;
  record.set_base("/models/base");
  record.set_region(LayerSet(4, {0, 3}, "uniform:2"));
  record.set_pads(true);
  record.set_base_weights({4, DecoderFingerprint{"s", "c", "Float", {0.5F, 2.0F}}});
  record.set_adapter({"/models/adapter", 8, 16.0, {1, 2}}, adapter);
  record.set_base_record(base);
  record.write(folder_.path());

  const std::optional<ModelRecord> again = ModelRecord::find(folder_.path());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->base(), "/models/base");
  EXPECT_EQ(again->region(), LayerSet(4, {0, 3}));
  EXPECT_EQ(again->region().text(), "uniform:2");
  EXPECT_EQ(again->pads(), true);
  EXPECT_EQ(again->base_weights()->layers, 4);
  EXPECT_THAT(again->base_weights()->decoder->sample, ElementsAre(0.5F, 2.0F));
  EXPECT_THAT(again->adapter_record()->region(), ElementsAre(1));
  EXPECT_EQ(again->origin(4), LayerSet(6, {0, 2, 3, 5}));
  EXPECT_EQ(again->base_record()->fields().at("layers").at("removed"), json({1, 4}));
  EXPECT_EQ(again->base_record()->fields().at("layers").at("removed_now"), json({4}));
}

TEST_F(Record, IsAbsentInAFolderWithoutOne) {
  EXPECT_FALSE(ModelRecord::find(folder_.path()));
}

TEST_F(Record, SaysNothingWhereItsFieldsAreMissing) {
  const ModelRecord record = *read(R"({"made_by": "striate init", "weights": "random"})");
  EXPECT_EQ(record.base(), "");
  EXPECT_EQ(record.pads(), std::nullopt);
  EXPECT_FALSE(record.base_weights());
  EXPECT_FALSE(record.tuned_layers());
  EXPECT_FALSE(record.base_record());
  EXPECT_FALSE(record.adapter_record());
  EXPECT_EQ(record.origin(3), LayerSet::all(3));
}

TEST_F(Record, DamageInOneFieldDoesNotHideTheOthers) {
  const ModelRecord record = *read(R"({"base": "b", "image_aspect": 3, "layers": {"of": -1}, "base_weights": [],
                                       "region": {"layers": [9], "of": 2}})");
  EXPECT_EQ(record.base(), "b");
  EXPECT_THROW(record.pads(), Error);
  EXPECT_THROW(record.origin(2), Error);
  EXPECT_THROW(record.base_weights(), Error);
  EXPECT_THROW(record.region(), Error);
}

TEST_F(Record, FieldsThatAreNotKnownStay) {
  ModelRecord record = *read(R"({"of a later release": [1, 2], "base": "b"})");
  record.note("reverted", {{"list", "3"}});
  record.write(folder_.path());
  EXPECT_EQ(json::parse(read_file(folder_.path() / "striate.json")),
            json::parse(R"({"of a later release": [1, 2], "base": "b", "reverted": {"list": "3"}})"));
}

TEST_F(Record, ARunThatTunedNoLayersHasNoRegion) {
  EXPECT_FALSE(read(R"({"region": {"layers": [], "of": 4}})")->tuned_layers());
  EXPECT_TRUE(read(R"({"region": {"layers": [1], "of": 4}})")->tuned_layers());
}

}  // namespace
}  // namespace striate

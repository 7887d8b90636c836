#include "striate/model/layer_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"

namespace striate {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

void refused(const std::function<void()>& act, ErrorKind kind, const std::string& what) {
  try {
    act();
    ADD_FAILURE() << "accepted: " << what;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << what;
    EXPECT_THAT(error.what(), HasSubstr(what));
    EXPECT_NE(error.hint(), "") << what;
  }
}

TEST(LayerSet, HoldsItsLayersAscending) {
  const LayerSet set(6, {5, 0, 3});
  EXPECT_THAT(set, ElementsAre(0, 3, 5));
  EXPECT_EQ(set.depth(), 6);
  EXPECT_EQ(set.size(), 3U);
  EXPECT_EQ(set.count(), 3);
  EXPECT_EQ(set[1], 3);
  EXPECT_TRUE(set.contains(5));
  EXPECT_FALSE(set.contains(4));
  EXPECT_FALSE(set.contains(6));
  EXPECT_FALSE(set.empty());
  EXPECT_THAT(LayerSet::all(3), ElementsAre(0, 1, 2));
}

TEST(LayerSet, LayersOutsideTheDecoderAndLayersGivenTwiceAreRefused) {
  refused([] { LayerSet(4, {4}); }, ErrorKind::kInvalidInput, "layer 4 is outside the decoder");
  refused([] { LayerSet(4, {-1, 2}); }, ErrorKind::kInvalidInput, "layer -1 is outside the decoder");
  refused([] { LayerSet(4, {2, 1, 2}); }, ErrorKind::kInvalidInput, "layer 2 is given twice");
}

TEST(LayerSet, TheComplementIsEveryOtherLayer) {
  const LayerSet set(6, {1, 4});
  EXPECT_THAT(set.complement(), ElementsAre(0, 2, 3, 5));
  EXPECT_EQ(set.complement().complement(), set);
  EXPECT_EQ(LayerSet(4, {}).complement(), LayerSet::all(4));
  EXPECT_TRUE(LayerSet::all(4).complement().empty());
}

TEST(LayerSet, SetsOfUnlikeDecodersDifferAndTextsDoNotCount) {
  EXPECT_EQ(LayerSet(4, {0, 2}, "uniform:2"), LayerSet(4, {2, 0}));
  EXPECT_FALSE(LayerSet(4, {0, 2}) == LayerSet(5, {0, 2}));
  EXPECT_FALSE(LayerSet(4, {0, 2}) == LayerSet(4, {0, 3}));
}

TEST(LayerSet, IsWrittenAsAListOfRanges) {
  EXPECT_EQ(LayerSet(32, {0, 4, 8, 9, 10, 11}).list(), "0,4,8-11");
  EXPECT_EQ(LayerSet(32, {3, 4}).list(), "3,4");
  EXPECT_EQ(LayerSet(32, {}).list(), "");
}

TEST(LayerSet, OneLayerHasNoPlural) {
  EXPECT_EQ(named_layers({4}), "layer 4");
  EXPECT_EQ(named_layers({0, 4, 8, 9, 10}), "layers 0,4,8-10");
}

TEST(LayerSet, KeepsTheTextThatNamedIt) {
  EXPECT_EQ(LayerSet(8, {0, 4}, "uniform:2").text(), "uniform:2");
  EXPECT_EQ(LayerSet(8, {0, 4}).text(), "0,4");
  EXPECT_EQ(LayerSet(8, {0, 4}).named("from-run").text(), "from-run");
  EXPECT_EQ(LayerSet(8, {0, 4}).named("from-run"), LayerSet(8, {0, 4}));
}

TEST(LayerSet, StripesShowEachLayerInItsPlace) {
  EXPECT_EQ(LayerSet(5, {0, 3}).stripes(), "█··█·");
  EXPECT_EQ(LayerSet(3, {}).stripes(), "···");
}

TEST(LayerSet, ARecordIsReadAsItWasWritten) {
  const LayerSet set(32, {0, 4, 8, 9, 10}, "score:s.json:bi:5");
  const json record = set.record();
  EXPECT_EQ(record, json::parse(R"({"spec": "score:s.json:bi:5", "layers": [0,4,8,9,10], "of": 32,
                                    "list": "0,4,8-10"})"));
  EXPECT_EQ(LayerSet::from_record(record, "f"), set);
  EXPECT_EQ(LayerSet::from_record(record, "f").text(), "score:s.json:bi:5");
  EXPECT_THAT(LayerSet::from_record({{"layers", {3, 1}}, {"of", 4}}, "f"), ElementsAre(1, 3));
}

TEST(LayerSet, RecordsThatContradictThemselvesAreRefused) {
  const auto read = [](const char* text) { return [text] { LayerSet::from_record(json::parse(text), "f: region"); }; };
  refused(read(R"({"layers": [6], "of": 6})"), ErrorKind::kCorruptData, "f: region has layer 6 of 6");
  refused(read(R"({"layers": [2, 2], "of": 6})"), ErrorKind::kCorruptData, "f: region has layer 2 twice");
  refused(read(R"({"layers": [2]})"), ErrorKind::kCorruptData, "f: region is not");
  refused(read(R"({"of": 6})"), ErrorKind::kCorruptData, "f: region is not");
  refused(read(R"({"layers": [1.5], "of": 6})"), ErrorKind::kCorruptData, "not a list of whole numbers");
  refused(read(R"({"layers": [-1], "of": 6})"), ErrorKind::kCorruptData, "not a list of whole numbers");
  refused(read("[1]"), ErrorKind::kCorruptData, "not a JSON object");
}

}  // namespace
}  // namespace striate

#include "striate/data/sample_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "striate/base/strings.h"
#include "striate/model/packed_batch.h"
#include "tests/data/small_world.h"
#include "tests/support/tiny_model.h"

namespace striate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::int64_t kRows = 4;  // of the tiny model's pictures

class SampleEncoderTest : public testing::Test {
 protected:
  EncodedSample encode(const Record& record, std::int64_t max_tokens = 0, TemplateKind kind = TemplateKind::kVicunaV1) {
    return SampleEncoder(world_.model().config(), world_.tokenizer(), kind, max_tokens).encode(record, "here");
  }
  std::optional<BadReason> reason(const Record& record, std::int64_t max_tokens = 0,
                                  TemplateKind kind = TemplateKind::kVicunaV1) {
    try {
      encode(record, max_tokens, kind);
    } catch (const BadSample& bad) {
      EXPECT_THAT(bad.what(), testing::StartsWith("here: "));
      EXPECT_FALSE(bad.hint().empty());
      return bad.reason();
    }
    return std::nullopt;
  }

  test::SmallWorld world_;
};

const Record kSeeing = {"a", {"x.bmp"}, {{"human", "What?\n<image>"}, {"gpt", "bb"}, {"human", "So?"}, {"gpt", "cc"}}};

TEST_F(SampleEncoderTest, TokensAndLabelsAreTheConversations) {
  const EncodedSample sample = encode(kSeeing);
  const EncodedConversation expected =
      encode_conversation(world_.tokenizer(), kSeeing.turns, {.kind = TemplateKind::kVicunaV1, .has_image = true});
  EXPECT_EQ(sample.input_ids, expected.input_ids);
  EXPECT_EQ(sample.labels, expected.labels);
  EXPECT_THAT(sample.images, ElementsAre("x.bmp"));
  EXPECT_EQ(sample.tokens, static_cast<std::int64_t>(expected.input_ids.size()) - 1 + kRows);
  EXPECT_FALSE(sample.truncated);
}

// A text that speaks of a picture is not trained on without one.
TEST_F(SampleEncoderTest, TheWordImageWithoutAPictureIsABadSample) {
  const Message answers{"gpt", "b"};
  for (const TemplateKind kind : {TemplateKind::kVicunaV1, TemplateKind::kLlama, TemplateKind::kPlain}) {
    EXPECT_EQ(reason({"", {}, {{"human", "<image>\nq"}, answers}}, 0, kind), BadReason::kImageMarks);
  }
  EXPECT_EQ(reason({"", {}, {{"human", "q"}, {"gpt", "see <image>"}}}), BadReason::kImageMarks);
  try {
    encode({"", {}, {{"human", "<image>\nq"}, answers}, "", "img_path"});
    FAIL();
  } catch (const BadSample& bad) {
    EXPECT_THAT(bad.what(), HasSubstr("no picture, and 1 message with <image>"));
    EXPECT_THAT(bad.hint(), HasSubstr("the field \"img_path\" is not read"));
  }
}

TEST_F(SampleEncoderTest, RolesUnderOtherNamesGiveTheSameTokensAndLabels) {
  Record other = kSeeing;
  for (Message& turn : other.turns) turn.from = turn.from == "human" ? "user" : "assistant";
  EXPECT_EQ(encode(other).input_ids, encode(kSeeing).input_ids);
  EXPECT_EQ(encode(other).labels, encode(kSeeing).labels);
}

TEST_F(SampleEncoderTest, CutsKeepImagesWholeAndCountTheirRows) {
  const EncodedSample whole = encode(kSeeing);
  const auto image = std::find(whole.input_ids.begin(), whole.input_ids.end(), kImageToken);
  const auto before = static_cast<std::int64_t>(image - whole.input_ids.begin());
  for (std::int64_t most = before + kRows + 1; most <= whole.tokens; ++most) {
    if (reason(kSeeing, most)) continue;
    const EncodedSample cut = encode(kSeeing, most);
    EXPECT_EQ(cut.tokens, most);
    EXPECT_EQ(cut.truncated, most < whole.tokens);
    EXPECT_EQ(cut.images.size(), 1U);
    EXPECT_TRUE(std::equal(cut.labels.begin(), cut.labels.end(), whole.labels.begin()));
  }
}

TEST_F(SampleEncoderTest, AnImageThatWouldBeCutGoesWhole) {
  const Record record = {
      "a", {"x.bmp", "y.bmp"}, {{"human", "<image>\n1"}, {"gpt", "b"}, {"human", "<image>\n2"}, {"gpt", "c"}}};
  const EncodedSample whole = encode(record);
  const auto second = std::find(whole.input_ids.begin(), whole.input_ids.end(), kImageToken);
  const auto at = std::find(second + 1, whole.input_ids.end(), kImageToken) - whole.input_ids.begin();
  const std::int64_t before = at - 1 + kRows;  // positions before the second image
  for (std::int64_t more = 0; more < kRows; ++more) {
    const EncodedSample cut = encode(record, before + more);
    EXPECT_EQ(cut.tokens, before);
    EXPECT_THAT(cut.images, ElementsAre("x.bmp"));
    EXPECT_TRUE(cut.truncated);
  }
  EXPECT_EQ(encode(record, before + kRows).images.size(), 2U);
}

TEST_F(SampleEncoderTest, CountsTargetsAndTokensAsPackingDoes) {
  for (const std::int64_t most : {0, 190, 250}) {
    const EncodedSample encoded = encode(kSeeing, most);
    const std::vector<Sample> samples = {{encoded.input_ids, encoded.labels, {test::tiny_image(0)}, std::nullopt}};
    const PackedBatch batch = pack(samples);
    EXPECT_EQ(encoded.targets, batch.targets.size(0));
    EXPECT_EQ(encoded.tokens, batch.tokens());
  }
}

TEST_F(SampleEncoderTest, SaysWhyASampleIsBad) {
  const Message asks{"human", "q"};
  const Message looks{"human", "<image>\nq"};
  const Message answers{"gpt", "b"};
  EXPECT_EQ(reason({"", {}, {asks, answers}}), std::nullopt);
  EXPECT_EQ(reason({"", {}, {}}), BadReason::kUnknownRole);
  EXPECT_EQ(reason({"", {}, {{"robot", "q"}, answers}}), BadReason::kUnknownRole);
  EXPECT_EQ(reason({"", {}, {asks, asks, answers}}), BadReason::kUnknownRole);
  EXPECT_EQ(reason({"", {"x"}, {asks, answers}}), BadReason::kImageMarks);
  EXPECT_EQ(reason({"", {"x"}, {looks, answers, looks, answers}}), BadReason::kImageMarks);
  EXPECT_EQ(reason({"", {"x", "y"}, {looks, answers}}), BadReason::kImageMarks);
  EXPECT_EQ(reason({"", {}, {{"system", "s"}, asks, answers}}), std::nullopt);
  EXPECT_EQ(reason({"", {}, {asks, {"system", "s"}, answers}}), BadReason::kUnknownRole);
  EXPECT_EQ(reason({"", {"x"}, {{"system", "s"}, looks, answers}}, 0, TemplateKind::kPlain), BadReason::kUnknownRole);
  EXPECT_EQ(reason({"", {"x"}, {looks, answers}}, 0, TemplateKind::kPlain), std::nullopt);
  EXPECT_EQ(reason({"", {}, {asks}}), BadReason::kNoTargets);
  EXPECT_EQ(reason({"", {}, {asks, {"gpt", ""}}}), BadReason::kNoTargets);
  EXPECT_EQ(reason({"", {}, {asks, answers}}, 20), BadReason::kTooLong);
}

TEST_F(SampleEncoderTest, AModelWithoutEyesOrWordsSaysSo) {
  ModelConfig blind = world_.model().config();
  blind.vision.reset();
  const SampleEncoder encoder(blind, world_.tokenizer(), TemplateKind::kVicunaV1, 0);
  try {
    encoder.encode(kSeeing, "here");
    FAIL();
  } catch (const BadSample& bad) {
    EXPECT_EQ(bad.reason(), BadReason::kNoVision);
  }
  ModelConfig small = world_.model().config();
  small.decoder.vocab_size = 90;
  try {
    SampleEncoder(small, world_.tokenizer(), TemplateKind::kVicunaV1, 0).encode(kSeeing, "here");
    FAIL();
  } catch (const BadSample& bad) {
    EXPECT_EQ(bad.reason(), BadReason::kUnknownToken);
  }
}

}  // namespace
}  // namespace striate

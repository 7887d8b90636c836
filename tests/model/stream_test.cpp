// The packed stream and attention on it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/base/error.h"
#include "striate/model/attention.h"
#include "striate/model/lvlm.h"
#include "striate/text/conversation.h"
#include "tests/support/tiny_model.h"

namespace striate::test {
namespace {

std::vector<std::int64_t> values(const at::Tensor& t) {
  const at::Tensor wide = t.to(at::kLong).contiguous();
  return {wide.const_data_ptr<std::int64_t>(), wide.const_data_ptr<std::int64_t>() + wide.numel()};
}

// Attention by the book: a mask, a softmax, one head and one sample at a time, in fp64.
at::Tensor attention_by_the_book(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                 const std::vector<std::int64_t>& bounds, std::optional<std::int64_t> window) {
  at::Tensor out = at::zeros(q.sizes(), at::kDouble);
  const std::int64_t group = q.size(1) / k.size(1);
  for (std::size_t s = 0; s + 1 < bounds.size(); ++s) {
    for (std::int64_t h = 0; h < q.size(1); ++h) {
      for (std::int64_t i = bounds[s]; i < bounds[s + 1]; ++i) {
        const std::int64_t first = window ? std::max(bounds[s], i - *window) : bounds[s];
        const at::Tensor keys = k.slice(0, first, i + 1).select(1, h / group).to(at::kDouble);
        const at::Tensor scores = at::mv(keys, q[i][h].to(at::kDouble)) / std::sqrt(static_cast<double>(q.size(2)));
        const at::Tensor chosen = v.slice(0, first, i + 1).select(1, h / group).to(at::kDouble);
        out[i][h] = at::mv(chosen.t(), at::softmax(scores, 0));
      }
    }
  }
  return out;
}

TEST(PackedBatch, ImagesExpandAndTargetsAreShifted) {
  const std::vector<Sample> samples = {
      {{1, kImageToken, 8, 9}, {kIgnoreLabel, kIgnoreLabel, 8, 9}, {at::ones({3, 2})}},
      {{1, 7}, {kIgnoreLabel, 7}, {}},
  };
  const PackedBatch batch = pack(samples);
  EXPECT_EQ(values(batch.token_ids), (std::vector<std::int64_t>{1, -200, -200, -200, 8, 9, 1, 7}));
  EXPECT_EQ(values(batch.positions), (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 0, 1}));
  EXPECT_EQ(values(batch.cu_seqlens), (std::vector<std::int64_t>{0, 6, 8}));
  EXPECT_EQ(values(batch.image_slots), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(values(batch.targets), (std::vector<std::int64_t>{8, 9, 7}));
  EXPECT_EQ(values(batch.target_slots), (std::vector<std::int64_t>{3, 4, 6}));
}

TEST(PackedBatch, TheFirstLabelOfASampleIsNoTarget) {
  const std::vector<Sample> samples = {{{5, 6}, {5, 6}, {}}, {{7, 8}, {7, 8}, {}}};
  EXPECT_EQ(values(pack(samples).targets), (std::vector<std::int64_t>{6, 8}));
}

TEST(PackedBatch, RefusesAnotherNumberOfImagesThanTheTextHas) {
  const Sample sample{{1, kImageToken}, {}, {}};
  try {
    expand_images(sample);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput);
    EXPECT_THAT(error.what(), testing::HasSubstr("1 <image> and 0 images"));
  }
}

TEST(StreamAttention, EqualsAttentionByTheBookForEverySampleAndWindow) {
  const std::vector<std::int64_t> bounds = {0, 1, 20, 20, 57};
  const at::Tensor q = at::randn({57, 6, 8}), k = at::randn({57, 2, 8}), v = at::randn({57, 2, 8});
  for (const std::optional<std::int64_t> window : {std::optional<std::int64_t>(), std::optional<std::int64_t>(5)}) {
    StreamAttention attention(at::tensor(bounds).to(at::kInt), window);
    const at::Tensor got = attention.attend(0, q, k, v);
    EXPECT_TRUE(at::allclose(got.to(at::kDouble), attention_by_the_book(q, k, v, bounds, window), 1e-5, 1e-5));
  }
}

TEST(CausalAttention, NewQueriesSeeThePastAndThemselves) {
  const at::Tensor q = at::randn({9, 4, 8}), k = at::randn({9, 4, 8}), v = at::randn({9, 4, 8});
  const at::Tensor whole = attention_by_the_book(q, k, v, {0, 9}, std::nullopt);
  const at::Tensor late = causal_attention(q.slice(0, 6), k, v, std::nullopt);
  EXPECT_TRUE(at::allclose(late.to(at::kDouble), whole.slice(0, 6), 1e-5, 1e-5));
}

TEST(ImageAttentionMass, IsTheSharePutOnImagesAndLeavesTheOutputAlone) {
  const at::Tensor q = at::randn({300, 2, 8}), k = at::randn({300, 2, 8}), v = at::randn({300, 2, 8});
  const at::Tensor bounds = at::tensor({0, 290, 300}, at::kInt);
  const at::Tensor is_image = at::arange(300).remainder(3).eq(0);
  ImageAttentionMass recording(bounds, std::nullopt, is_image);
  StreamAttention plain(bounds, std::nullopt);
  EXPECT_TRUE(at::equal(recording.attend(0, q, k, v), plain.attend(0, q, k, v)));
  const at::Tensor mass = recording.mass().front();
  // Query 290 begins the second sample and sees itself alone; it is a text token.
  EXPECT_EQ(mass[0][290].item<float>(), 0.0F);
  EXPECT_EQ(mass[0][0].item<float>(), 1.0F);
  // Attention to a value that is 1 at images and 0 elsewhere is the mass itself.
  const at::Tensor indicator = is_image.to(at::kFloat).view({300, 1, 1}).expand({300, 2, 8}).contiguous();
  const at::Tensor want = plain.attend(0, q, k, indicator).select(2, 0).t();
  EXPECT_TRUE(at::allclose(mass, want, 1e-5, 1e-5));
}

TEST(Lvlm, AWindowLongerThanTheSampleChangesNothing) {
  const Sample sample{{1, kImageToken, 8, 9, 10}, {}, {tiny_image(0)}};
  const auto plain = tiny_model({.kind = DecoderKind::kPhi3});
  const auto wide = tiny_model({.kind = DecoderKind::kPhi3, .sliding_window = 64});
  const PackedBatch batch = pack(std::span(&sample, 1));
  EXPECT_TRUE(at::equal(plain->forward(batch), wide->forward(batch)));
}

TEST(Lvlm, TargetLossesEqualAPlainCrossEntropy) {
  const auto model = tiny_model();
  const std::vector<Sample> samples = {{{1, 8, 9, 10}, {kIgnoreLabel, 8, 9, 10}, {}},
                                       {{1, 7, 5}, {1, kIgnoreLabel, 5}, {}}};
  const PackedBatch batch = pack(samples);
  const at::Tensor stream = model->forward(batch);
  const at::Tensor rows = at::log_softmax(model->logits(stream).cpu().index_select(0, batch.target_slots), 1);
  const at::Tensor want = -rows.gather(1, batch.targets.unsqueeze(1)).squeeze(1);
  EXPECT_TRUE(at::allclose(model->target_nll(stream, batch).cpu(), want, 1e-5, 1e-6));
}

}  // namespace
}  // namespace striate::test

#include "striate/ranks/block_share.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <gtest/gtest.h>

namespace striate {
namespace {

constexpr std::int64_t kBlock = BlockShare::kBlock;
const at::TensorOptions kFloats(at::kFloat);

// Lengths around whole blocks and whole rows.
const std::int64_t kCounts[] = {1,          kBlock - 1,     kBlock,     kBlock + 1,
                                2 * kBlock, 3 * kBlock + 7, 6 * kBlock, 7 * kBlock + 1};

TEST(BlockShare, EveryNumberBelongsToOneRank) {
  for (const std::int64_t count : kCounts) {
    for (const int ranks : {1, 2, 3}) {
      const at::Tensor owners = at::full({count}, -1.0, kFloats);
      for (int rank = 0; rank < ranks; ++rank) {
        const BlockShare share(count, rank, ranks);
        std::int64_t own = 0;
        for (const BlockShare::Piece& piece : share.own_pieces()) {
          EXPECT_EQ(piece.own, own) << "a rank's blocks lie without gaps";
          own += piece.end - piece.begin;
          const at::Tensor part = owners.slice(0, piece.begin, piece.end);
          EXPECT_TRUE(at::equal(part, at::full({piece.end - piece.begin}, -1.0, kFloats)));
          part.fill_(rank);
        }
        EXPECT_EQ(share.own_count(), own);
        EXPECT_LE(own, share.own_size());
      }
      EXPECT_GE(owners.min().item<float>(), 0.0F) << count << " of " << ranks;
    }
  }
}

TEST(BlockShare, WhatIsDealtComesBack) {
  for (const std::int64_t count : kCounts) {
    for (const int ranks : {1, 2, 3}) {
      const at::Tensor flat = at::arange(count, kFloats) + 1;
      const at::Tensor back = at::full({count}, 0.0, kFloats);
      const BlockShare share(count, 0, ranks);
      for (std::int64_t row = 0; row < share.rows(); ++row) {
        share.into_vector(share.by_rank(flat, row, row + 1), back, row);
      }
      EXPECT_TRUE(at::equal(back, flat)) << count << " of " << ranks;
      const at::Tensor dealt = share.by_rank(flat, 0, share.rows());
      for (int rank = 0; rank < ranks; ++rank) {
        const BlockShare own(count, rank, ranks);
        ASSERT_EQ(dealt.size(1), own.own_size());
        for (const BlockShare::Piece& piece : own.own_pieces()) {
          EXPECT_TRUE(at::equal(dealt[rank].slice(0, piece.own, piece.own + piece.end - piece.begin),
                                flat.slice(0, piece.begin, piece.end)));
        }
        EXPECT_EQ(dealt[rank].slice(0, own.own_count()).abs().sum().item<float>(), 0.0F) << "what is missing is zeros";
      }
    }
  }
}

}  // namespace
}  // namespace striate

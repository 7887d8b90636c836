#include "striate/ranks/block_share.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "striate/base/error.h"

namespace striate {
namespace {

std::int64_t divided_up(std::int64_t count, std::int64_t by) {
  return (count + by - 1) / by;
}

}  // namespace

BlockShare::BlockShare(std::int64_t count, int rank, int ranks)
    : count_(count), rank_(rank), ranks_(ranks), rows_(divided_up(count, kBlock * ranks)) {
  if (ranks < 1 || rank < 0 || rank >= ranks) throw internal_error("a rank that is none of the group");
  for (const Piece& piece : own_pieces()) own_count_ += piece.end - piece.begin;
}

std::vector<BlockShare::Piece> BlockShare::own_pieces() const {
  std::vector<Piece> pieces;
  for (std::int64_t row = 0; row < rows_; ++row) {
    const std::int64_t begin = (row * ranks_ + rank_) * kBlock;
    const std::int64_t end = std::min(count_, begin + kBlock);
    if (begin < end) pieces.push_back({begin, end, row * kBlock});
  }
  return pieces;
}

at::Tensor BlockShare::by_rank(const at::Tensor& flat, std::int64_t first, std::int64_t last) const {
  const std::int64_t row = ranks_ * kBlock;
  const at::Tensor blocks = at::empty({ranks_, last - first, kBlock}, flat.options());
  const std::int64_t whole = std::min(last, count_ / row);  // rows that lack nothing
  if (whole > first) {
    const at::Tensor rows = flat.slice(0, first * row, whole * row).view({whole - first, ranks_, kBlock});
    blocks.slice(1, 0, whole - first).copy_(rows.transpose(0, 1));
  }
  if (whole < last) {
    const at::Tensor rest = flat.slice(0, whole * row);
    const std::int64_t full = rest.numel() / kBlock;
    const at::Tensor cut = blocks.select(1, last - first - 1);  // [ranks, kBlock]
    cut.zero_();
    cut.slice(0, 0, full).copy_(rest.slice(0, 0, full * kBlock).view({full, kBlock}));
    const at::Tensor tail = rest.slice(0, full * kBlock);
    if (tail.numel() > 0) cut.select(0, full).slice(0, 0, tail.numel()).copy_(tail);
  }
  return blocks.view({ranks_, -1});
}

at::Tensor BlockShare::in_order(const at::Tensor& blocks) const {
  return blocks.view({ranks_, -1, kBlock}).transpose(0, 1).reshape({-1});
}

void BlockShare::into_vector(const at::Tensor& blocks, const at::Tensor& flat, std::int64_t first) const {
  const std::int64_t row = ranks_ * kBlock;
  const at::Tensor given = blocks.view({ranks_, -1, kBlock});
  const std::int64_t last = first + given.size(1);
  const std::int64_t whole = std::min(last, count_ / row);
  if (whole > first) {
    const at::Tensor rows = flat.slice(0, first * row, whole * row).view({whole - first, ranks_, kBlock});
    rows.copy_(given.slice(1, 0, whole - first).transpose(0, 1));
  }
  if (whole < last) {
    const at::Tensor rest = flat.slice(0, whole * row);
    const std::int64_t full = rest.numel() / kBlock;
    const at::Tensor cut = given.select(1, last - first - 1);
    rest.slice(0, 0, full * kBlock).view({full, kBlock}).copy_(cut.slice(0, 0, full));
    const at::Tensor tail = rest.slice(0, full * kBlock);
    if (tail.numel() > 0) tail.copy_(cut.select(0, full).slice(0, 0, tail.numel()));
  }
}

}  // namespace striate

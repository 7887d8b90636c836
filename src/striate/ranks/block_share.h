// Which rank sums and keeps which part of a flat vector of all parameters.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "striate/tensor/optimizer_ops.h"

namespace striate {

// The vector is cut into blocks of kBlock numbers, and block b belongs to rank b mod ranks: of every long enough part
// of the vector each rank has as much as the others. A row is one block of each rank. The last row may lack blocks, and
// the last block numbers; where tensors hold whole rows, what is missing is zeros.
class BlockShare {
 public:
  // As square_sums() of tensor/optimizer_ops.h cuts: a rank's own blocks give sums that all ranks' norm is made of.
  static constexpr std::int64_t kBlock = kSquareBlock;

  BlockShare(std::int64_t count, int rank, int ranks);

  int ranks() const { return static_cast<int>(ranks_); }
  std::int64_t count() const { return count_; }
  std::int64_t rows() const { return rows_; }
  // How many numbers are this rank's; and with the zeros of whole rows.
  std::int64_t own_count() const { return own_count_; }
  std::int64_t own_size() const { return rows_ * kBlock; }

  // A part [begin, end) of the vector that lies at `own` of what this rank keeps.
  struct Piece {
    std::int64_t begin, end, own;
  };
  // This rank's blocks, in order.
  std::vector<Piece> own_pieces() const;

  // Rows [first, last) of the vector `flat` [count], by rank: [ranks, rows * kBlock], a tensor of its own.
  at::Tensor by_rank(const at::Tensor& flat, std::int64_t first, std::int64_t last) const;
  // The way back, as a tensor of its own [rows * ranks * kBlock]: zeros where the vector has ended.
  at::Tensor in_order(const at::Tensor& blocks) const;
  // The same for `blocks` [ranks, rows * kBlock] into `flat` [count] from row `first` on.
  void into_vector(const at::Tensor& blocks, const at::Tensor& flat, std::int64_t first) const;

 private:
  std::int64_t count_, rank_, ranks_, rows_, own_count_ = 0;
};

}  // namespace striate

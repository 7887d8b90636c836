// The gradients of a step, summed over ranks while the backward pass still runs.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "striate/model/parameter.h"
#include "striate/ranks/block_share.h"
#include "striate/ranks/collective.h"

namespace striate {

inline constexpr std::int64_t kGradientBucket = 16 << 20;  // bytes

// A bucket is a contiguous part of the flat gradients. It leaves as soon as the backward pass of this rank's last
// stream has passed every layer with parameters in it, on each rank in the same order. Its blocks go to the ranks that
// they belong to (ranks/block_share.h), which add up what they get in the order of ranks and hand the sums on. So the
// sum of a number does not depend on the buckets, nor on whether every rank keeps all sums or its own blocks' alone.
// Each rank sends and receives as much as in a ring.
class GradientSum {
 public:
  // `bucket_bytes` of gradients make a bucket (at least a block of each rank). Where `own` [BlockShare::own_size()] is
  // defined, the sums of this rank's blocks go there and are not handed on; else all of them take the gradients' place.
  // Parameters and ranks must outlive it.
  GradientSum(const ParameterSet& parameters, Collective& ranks, std::int64_t bucket_bytes, at::Tensor own = {});

  // A step begins: nothing has left.
  void begin();
  // The gradients of this rank's parameters in decoder layer `layer` and above it are complete, head and last norm
  // included (unless an embedding is the head, which is below all layers).
  void passed(std::int64_t layer);
  // All gradients are complete. Afterwards they are sums; on a GPU what follows on the device sees them so.
  void finish();

 private:
  struct Bucket {
    std::int64_t first, last;  // rows of the share
    std::int64_t layer;        // the lowest with parameters in it
  };
  struct Moving {
    const Bucket* bucket;
    at::Tensor sent, received;  // [ranks, numbers]
    std::unique_ptr<Transfer> transfer;
  };
  void start(const Bucket& bucket);
  void settle_exchange();
  void settle_gather();

  const ParameterSet& parameters_;
  Collective& ranks_;
  BlockShare share_;
  at::Tensor own_;
  std::vector<Bucket> buckets_;  // in the order in which they leave
  std::size_t started_ = 0;
  std::deque<Moving> exchanges_, gathers_;
};

// What a GradientSum holds beside the gradients at once, in bytes.
std::int64_t gradient_sum_bytes(std::int64_t count, int ranks, std::int64_t bucket_bytes);

}  // namespace striate

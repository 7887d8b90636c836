// Sums across the processes of a run, on LibTorch's own c10d (Gloo, or NCCL where the build has it).
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "striate/train/ranks.h"

namespace striate {

// A group of processes that take every step together. When one of them dies, freezes or fails, the others' next (or
// waiting) call throws ResourceError within a minute, saying which and why as far as is known: a thread of every rank
// shows that it lives and watches the others, so that long steps and evaluations are no reason to give up.
class Collective {
 public:
  virtual ~Collective() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Every rank's `tensor` becomes the sum of them all: fp32 or double, contiguous. The order of sums depends on the
  // number of ranks and nothing else.
  virtual void sum(const at::Tensor& tensor) = 0;
  // Waits for every rank.
  virtual void barrier() = 0;
  // Tells the others why this rank is about to end early.
  virtual void report_failure(const std::string& message) = 0;
  // The end of the group, for a run that is done: waits for every rank, after which each may leave.
  virtual void finish() = 0;
};

// Meets the other ranks; waits up to five minutes for them. A process alone gets a collective that does nothing.
// Throws ResourceError when they do not come, Unsupported when this build has no backend.
std::unique_ptr<Collective> join_ranks(const Ranks& ranks, at::Device device);

}  // namespace striate

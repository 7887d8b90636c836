// What the processes of a run exchange, on LibTorch's own c10d (Gloo, or NCCL where the build has it).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "striate/base/notes.h"
#include "striate/ranks/rank_exchange.h"
#include "striate/ranks/ranks.h"

namespace striate {

// A collective call under way.
class Transfer {
 public:
  virtual ~Transfer() = default;
  // Until its results are there. On a GPU the host goes on: what it gives the device from here on comes after them.
  virtual void wait() = 0;
};

// A group of processes that take every step together. When one of them dies, freezes or fails, the others' next (or
// waiting) call throws ResourceError, saying which and why as far as is known: within seconds when it died or failed,
// within a minute when it is frozen. A thread of every rank shows that it lives and watches the others, so that long
// steps and evaluations are not a reason to give up.
class Collective {
 public:
  virtual ~Collective() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Every rank's `tensor` becomes the sum of them all, in place: fp32 or double, contiguous, on any device (where the
  // backend takes tensors of its own device alone, as NCCL does, others are copied there and back). The order of sums
  // depends on the number of ranks, the number of elements, and nothing else. On a GPU the host does not wait for sums
  // of the GPU's own tensors.
  virtual void sum(const at::Tensor& tensor) = 0;
  // Begins to give every rank its part of what the others have: `sent` [ranks, n] has a row for each rank, and row r of
  // `received` [ranks, n] becomes what rank r sends to this one. Both are contiguous and stay as they are until the
  // transfer is waited for. All ranks begin the same transfers in the same order.
  virtual std::unique_ptr<Transfer> begin_exchange(const at::Tensor& sent, const at::Tensor& received) = 0;
  // Begins to gather: row r of `all` [ranks, n] becomes `own` [n] of rank r. Otherwise as begin_exchange().
  virtual std::unique_ptr<Transfer> begin_gather(const at::Tensor& own, const at::Tensor& all) = 0;
  // Returns once `done` says so: for waits that depend on the other ranks, such as for a GPU that waits for theirs.
  virtual void wait_until(const std::function<bool()>& done) = 0;
  // The same of numbers in main memory.
  void sum(std::span<double> values);
  // Waits for every rank.
  void barrier();
  // Whether every rank gave the same text; every rank gets the same answer.
  bool agree(std::string_view text);
  // Texts between the ranks, on a connection of their own: may be used while sums are under way. Exchanges of one name
  // belong together; the group must outlive them. nullptr for a process alone.
  virtual std::unique_ptr<RankExchange> open_exchange(const std::string& name) = 0;
  // Tells the others why this rank is about to end early.
  virtual void report_failure(const std::string& message) = 0;
  // How many ranks run on this one's machine, itself included. Every rank calls it, once in a run.
  int ranks_here();
  // The end of the group, for a run that is done: waits for every rank, after which each may leave.
  virtual void finish() = 0;
};

// Meets the other ranks (meeting.h says what it throws when they do not come), and connects them by NCCL for a CUDA
// device where the build has it, else by Gloo. A process alone gets a collective that does nothing. Throws Unsupported
// when this build has no backend. The notes hear whom it waits for, after a few seconds.
std::unique_ptr<Collective> join_ranks(const Ranks& ranks, at::Device device, const Notes& notes = {});

}  // namespace striate

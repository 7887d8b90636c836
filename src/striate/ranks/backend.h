// The c10d backends of a group; each in a source of its own, for the headers that it needs.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "striate/ranks/collective.h"

namespace striate {

// What moves a group's tensors, and the one device whose tensors it is given.
struct GroupBackend {
  c10::intrusive_ptr<c10d::Backend> backend;
  at::Device device = at::kCPU;
};
using MakeBackend = std::function<GroupBackend(const c10::intrusive_ptr<c10d::Store>& store)>;

// As join_ranks() of collective.h, with a backend of the caller's; a process alone is a group of one.
std::unique_ptr<Collective> join_ranks(const Ranks& ranks, const MakeBackend& make_backend, const Notes& notes = {});

// Throws Unsupported where this build has no Gloo headers.
c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            std::chrono::milliseconds timeout);

// Whether this build has NCCL.
bool has_nccl();
// Throws Unsupported where it has not.
c10::intrusive_ptr<c10d::Backend> make_nccl(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            std::chrono::milliseconds timeout);

}  // namespace striate

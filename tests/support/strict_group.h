// Ranks on a backend that takes tensors of the pretend device alone, as NCCL takes CUDA's: a group that hands it a
// tensor in main memory fails. No GPU is needed.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "striate/ranks/backend.h"
#include "striate/ranks/collective.h"

namespace striate::test {

// Gloo behind a backend that refuses what NCCL refuses: tensors of another device, with gaps, several of two types.
c10::intrusive_ptr<c10d::Backend> strict_backend(const c10::intrusive_ptr<c10d::Store>& store, const Ranks& ranks);
// The sums that strict backends have taken in this process.
std::int64_t strict_sums();

// Runs `body` on every rank of a group, each in a thread of its own; what each of them threw, or "".
std::vector<std::string> on_strict_ranks(int size, const std::function<void(Collective&)>& body);
std::vector<std::string> on_gloo_ranks(int size, const std::function<void(Collective&)>& body);

}  // namespace striate::test

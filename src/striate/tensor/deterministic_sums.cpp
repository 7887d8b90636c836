#include "striate/tensor/deterministic_sums.h"

#include <ATen/Context.h>

namespace striate {

DeterministicSums::DeterministicSums(bool wanted)
    : algorithms_(at::globalContext().deterministicAlgorithms()),
      warns_only_(at::globalContext().deterministicAlgorithmsWarnOnly()),
      fills_memory_(at::globalContext().deterministicFillUninitializedMemory()) {
  if (!wanted) return;
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/false);
  // Else every new tensor would be filled first.
  at::globalContext().setDeterministicFillUninitializedMemory(false);
}

DeterministicSums::~DeterministicSums() {
  at::globalContext().setDeterministicAlgorithms(algorithms_, warns_only_);
  at::globalContext().setDeterministicFillUninitializedMemory(fills_memory_);
}

}  // namespace striate

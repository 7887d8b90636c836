#include "striate/tensor/deterministic_sums.h"

#include <ATen/Context.h>

#include <mutex>

namespace striate {
namespace {

// LibTorch's switch is the process's, and so is the number of those who hold it.
struct Holders {
  std::mutex mutex;
  int count = 0;
  bool algorithms = false, warns_only = false, fills_memory = false;  // as they were before the first of them
};

Holders& holders() {
  static Holders all;
  return all;
}

}  // namespace

DeterministicSums::DeterministicSums(bool wanted) : wanted_(wanted) {
  if (!wanted) return;
  Holders& all = holders();
  const std::lock_guard lock(all.mutex);
  if (all.count++ > 0) return;
  at::Context& context = at::globalContext();
  all.algorithms = context.deterministicAlgorithms();
  all.warns_only = context.deterministicAlgorithmsWarnOnly();
  all.fills_memory = context.deterministicFillUninitializedMemory();
  // Else every new tensor would be filled first.
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
}

DeterministicSums::~DeterministicSums() {
  if (!wanted_) return;
  Holders& all = holders();
  const std::lock_guard lock(all.mutex);
  if (--all.count > 0) return;
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(all.algorithms, all.warns_only);
  context.setDeterministicFillUninitializedMemory(all.fills_memory);
}

}  // namespace striate

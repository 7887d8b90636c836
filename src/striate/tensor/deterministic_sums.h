// Sums that a GPU makes in the same order every time.
#pragma once

namespace striate {

// While it lives, LibTorch's operators on a GPU take the kernels that give the same bits every time, which some of them
// have beside a faster one (the backward pass of attention, sums by index). Runs resume bit for bit because of it.
// LibTorch has one switch for the whole process: several threads may want such sums at once, and the switch is put back
// when the last of them is done. Where that is not wanted, nothing changes.
class DeterministicSums {
 public:
  explicit DeterministicSums(bool wanted = true);
  ~DeterministicSums();
  DeterministicSums(const DeterministicSums&) = delete;
  DeterministicSums& operator=(const DeterministicSums&) = delete;

 private:
  bool wanted_;
};

}  // namespace striate

// Choosing the next token from logits.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "striate/base/random.h"

namespace striate {

struct SamplingOptions {
  double temperature = 0.0;         // 0: always the most likely token
  double top_p = 1.0;               // keep the smallest set of tokens whose probabilities reach this sum
  std::int64_t top_k = 0;           // keep the k most likely tokens; 0: all
  double repetition_penalty = 1.0;  // divides positive and multiplies negative logits of tokens already seen
  std::uint64_t seed = 0;

  // Throws InvalidInput, naming the flag, for values that do not give a distribution.
  void validate() const;
};

// Applies, in transformers' order: repetition penalty, temperature, top-k, top-p; then draws. The draw of step i
// depends on (seed, i) alone.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options);
  // logits [vocab] fp32; `seen` are the prompt's and the answer's ids so far (negative ones are skipped).
  std::int64_t choose(const at::Tensor& logits, const std::vector<std::int64_t>& seen, std::int64_t step) const;

 private:
  SamplingOptions options_;
  RandomStream random_;
};

}  // namespace striate

// Whether two models give the same logits: every export is compared with the model it came from.
//
// Each side is computed on a few fixed inputs and freed before the other is loaded, so that one model is in memory at
// a time; a side need not be an Lvlm.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "striate/model/load.h"

namespace striate {

// One input that both sides compute.
struct ProbeInput {
  std::string name;                     // "tokens, 1 to 24", for reports
  std::vector<std::int64_t> token_ids;  // kImageToken where the picture stands
  at::Tensor pixels;                    // [1, 3, S, S] fp32, normalised; undefined without a picture
};

// Three sequences of token ids spread over the vocabulary, and for a model that sees one around a generated picture.
// The same every time for one configuration.
std::vector<ProbeInput> probe_inputs(const ModelConfig& config);

// Logits of every position of every input, [positions, vocab] fp32 on the CPU.
std::vector<at::Tensor> probe_logits(const Lvlm& model, const std::vector<ProbeInput>& inputs);

// The same of a checkpoint, loaded for it and let go: on the CPU, computed in fp32.
std::vector<at::Tensor> probe_logits(const Checkpoint& checkpoint, const std::vector<ProbeInput>& inputs);

struct LogitsDifference {
  double largest = 0;           // the largest |a - b|
  double largest_logit = 0;     // the largest |a|
  std::string input;            // where the largest difference is
  std::int64_t positions = 0;   // compared
  std::int64_t same_token = 0;  // of these, where both sides have the same likeliest token

  // The largest difference as a share of the largest logit.
  double relative() const { return largest_logit > 0 ? largest / largest_logit : largest; }
};

// `reference` against `other`, as probe_logits() gives them for `inputs`. A side that is not finite where the other is
// has an infinite difference. Throws Internal when shapes differ.
LogitsDifference compare_logits(const std::vector<ProbeInput>& inputs, const std::vector<at::Tensor>& reference,
                                const std::vector<at::Tensor>& other);

// The largest relative() that is allowed. Equal weights in fp32: 1e-5, which the order of sums explains. Weights
// rounded by up to `rounding` each (FolderResult::rounding; an error of rounding / sqrt(3) at the mean) add an error of
// that share to every product, and the products that follow one another, four in a decoder layer and eight more around
// them, add up like a random walk; the tolerance is 4 times that.
double logits_tolerance(double rounding, std::int64_t layers);

// Throws Resource (exit status 1) when `difference` is beyond `tolerance`; `what` is the result, for the message.
void require_same_logits(const LogitsDifference& difference, double tolerance, const std::string& what);

}  // namespace striate

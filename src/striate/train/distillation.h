// What a pruned model learns from its unpruned teacher, in addition to the answers: the teacher's hidden states, and
// its probabilities of every next token.
//
//   loss = ce + hidden_weight * hidden + kl_weight * kl
//
//   ce      mean over the step's targets of -log p(target), as without a teacher
//   hidden  per compared layer the mean over tokens of |s - t|^2 / |t|^2, and of these the mean over the layers. s is
//           the raw output of the student's layer (the residual stream after it, before any norm), t that of the
//           teacher's layer with the same original number, on the same stream. Two exceptions: the student's last layer
//           is compared with the teacher's last layer, even where that one was removed (what the head reads is what
//           must be right), and, as its output exists at the targets alone, over targets instead of tokens.
//   kl      mean over the step's targets of T^2 KL(p_teacher || p_student), both softmax(logits / T): Hinton et al.,
//           arXiv 1503.02531
//
// Relative errors per token are free of scale, which grows through the layers, and of the few tokens whose states are
// a thousand times larger than all others. Means are over the whole step on all ranks, so packing and ranks change
// nothing. The teacher is frozen and sees the student's image features through its own projector.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "striate/model/layer_set.h"
#include "striate/model/lvlm.h"
#include "striate/model/packed_batch.h"

namespace striate {

struct DistillationOptions {
  double hidden_weight = 0;  // 0: states are not compared
  double kl_weight = 0;      // 0: logits are not
  double temperature = 1;    // of the KL term
  // The teacher's layer for each of the student's: their original numbers, ascending.
  std::vector<std::int64_t> original;
  // The student's layers whose outputs are compared; empty: all. Those below the lowest layer that training reaches
  // cannot change and are left out.
  LayerSet layers;
};

// The options as they are used: without a weight on hidden states no layers, else all where none are named. Throws
// InvalidInput when a student of this shape cannot learn from such a teacher: another width or vocabulary, a layer that
// it does not have, no projector where the student has one, weights below zero, a temperature that is not above zero,
// nothing to learn.
DistillationOptions checked_distillation(const ModelConfig& teacher, const ModelConfig& student,
                                         DistillationOptions options);

// What a teacher holds during a pass over `tokens` tokens beside its weights: states, in bytes.
std::int64_t distillation_state_bytes(const DecoderConfig& teacher, Compute compute, const DistillationOptions& options,
                                      std::int64_t tokens);

// A loss summed over rows, and the gradient of what it was asked to be scaled to.
struct LossTerm {
  at::Tensor sum;       // [] double, on the rows' device, not scaled
  at::Tensor gradient;  // of scale * sum; of the student's shape and type
};

// |s - t|^2 / |t|^2 of each row; student, teacher [rows, hidden]. Arithmetic is fp32 inside. A teacher's row of zeros
// counts as one of length 1e-6.
LossTerm relative_error(const at::Tensor& student, const at::Tensor& teacher, double scale);

// T^2 KL(softmax(teacher / T) || softmax(student / T)) of each row; student, teacher [rows, vocab].
LossTerm softened_divergence(const at::Tensor& student, const at::Tensor& teacher, double temperature, double scale);

// The teacher's outputs for one stream.
struct TeacherStates {
  // By student layer: what its output is compared with, [N, hidden], of the last layer [K, hidden]; undefined for
  // layers that are not compared.
  std::vector<at::Tensor> outputs;
  at::Tensor last;  // [K, hidden]: the teacher's stream at the targets, before its final norm; undefined without KL
};

class Distillation {
 public:
  // `teacher` must outlive this. Throws as checked_distillation() does.
  Distillation(const Lvlm& teacher, const ModelConfig& student, DistillationOptions options);

  const DistillationOptions& options() const { return options_; }
  const Lvlm& teacher() const { return *teacher_; }
  // The student's layers from `lowest` up whose outputs are compared.
  LayerSet compared(std::int64_t lowest) const;
  // The teacher's pass over `batch`, whose first `tokens` tokens count.
  TeacherStates observe(const PackedBatch& batch, std::int64_t tokens, std::int64_t lowest) const;

 private:
  std::int64_t teacher_layer(std::int64_t student_layer) const;

  const Lvlm* teacher_;
  DistillationOptions options_;
};

}  // namespace striate

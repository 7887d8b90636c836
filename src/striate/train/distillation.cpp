#include "striate/train/distillation.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/tensor/matrix.h"
#include "striate/tensor/upload.h"

namespace striate {
namespace {

constexpr double kLeastSquare = 1e-12;  // of a teacher's row
constexpr std::int64_t kRows = 1024;    // whose fp32 copies are alive at once

at::Tensor no_sum(const at::Tensor& like) {
  return at::zeros({}, like.options().dtype(at::kDouble));
}

void check_weights(const DistillationOptions& o) {
  for (const double weight : {o.hidden_weight, o.kl_weight}) {
    if (!(weight >= 0) || std::isinf(weight)) {
      throw invalid_input(cat("the weight ", weight, " of a distillation loss is not a number from 0 up"),
                          "give a number from 0 up");
    }
  }
  if (o.hidden_weight == 0 && o.kl_weight == 0) {
    throw invalid_input("a teacher was given, but both distillation losses have weight 0",
                        "give a weight above 0: `hidden_weight` or `kl_weight`");
  }
  if (!(o.temperature > 0) || std::isinf(o.temperature)) {
    throw invalid_input(cat("`temperature` ", o.temperature, " is not above 0"), "give a number above 0");
  }
}

void check_shapes(const DecoderConfig& teacher, const DecoderConfig& student, const DistillationOptions& o) {
  const auto differs = [](const std::string& what, std::int64_t theirs, std::int64_t ours) {
    return invalid_input(cat("the teacher has ", what, " ", theirs, ", but the model has ", ours),
                         "the teacher must be the model that this one was pruned from");
  };
  if (teacher.hidden_size != student.hidden_size) throw differs("width", teacher.hidden_size, student.hidden_size);
  if (teacher.vocab_size != student.vocab_size) throw differs("vocabulary", teacher.vocab_size, student.vocab_size);
  if (static_cast<std::int64_t>(o.original.size()) != student.layers) {
    throw internal_error("not every layer of the student has an original number");
  }
  for (const std::int64_t layer : o.original) {
    if (layer < teacher.layers) continue;
    throw invalid_input(
        cat("the model has the former layer ", layer, ", but the teacher has layers 0 to ", teacher.layers - 1),
        "the teacher must be the model that this one was pruned from");
  }
  if (!o.layers.empty() && o.layers.depth() != student.layers) {
    throw invalid_input(
        cat("`hidden_layers` is for a model of ", o.layers.depth(), " layers, but the model has ", student.layers),
        "give layers by the pruned model's numbers, from 0");
  }
}

}  // namespace

LossTerm relative_error(const at::Tensor& student, const at::Tensor& teacher, double scale) {
  const at::NoGradGuard no_autograd;
  LossTerm term{no_sum(student), at::empty_like(student)};
  for (std::int64_t first = 0; first < student.size(0); first += kRows) {
    const at::Tensor t = teacher.slice(0, first, first + kRows).to(at::kFloat);
    const at::Tensor difference = student.slice(0, first, first + kRows).to(at::kFloat) - t;
    const at::Tensor square = t.square().sum(-1, /*keepdim=*/true).clamp_min_(kLeastSquare);
    term.sum += (difference.square().sum(-1, /*keepdim=*/true) / square).sum(at::kDouble);
    term.gradient.slice(0, first, first + kRows).copy_(difference * (2.0 * scale / square));
  }
  return term;
}

LossTerm softened_divergence(const at::Tensor& student, const at::Tensor& teacher, double temperature, double scale) {
  const at::NoGradGuard no_autograd;
  const at::Tensor s = at::log_softmax(student.to(at::kFloat).div(temperature), -1);
  const at::Tensor t = at::log_softmax(teacher.to(at::kFloat).div(temperature), -1);
  const at::Tensor p = t.exp();
  LossTerm term;
  term.sum = (p * (t - s)).sum(at::kDouble) * (temperature * temperature);
  // d KL / d logits = (softmax(s) - p) / T, times T^2.
  term.gradient = (s.exp() - p).mul_(scale * temperature).to(student.scalar_type());
  return term;
}

DistillationOptions checked_distillation(const ModelConfig& teacher, const ModelConfig& student,
                                         DistillationOptions options) {
  check_weights(options);
  check_shapes(teacher.decoder, student.decoder, options);
  if (options.hidden_weight == 0) {
    options.layers = LayerSet(student.decoder.layers, {});
  } else if (options.layers.empty()) {
    options.layers = LayerSet::all(student.decoder.layers);
  }
  if (!teacher.projector && student.projector) {
    throw invalid_input("the teacher has no projector, but the model has one",
                        "the teacher must be the model that this one was pruned from");
  }
  return options;
}

std::int64_t distillation_state_bytes(const DecoderConfig& teacher, Compute compute, const DistillationOptions& options,
                                      std::int64_t tokens) {
  const std::int64_t width = compute == Compute::kBFloat16 ? 2 : 4;
  // The states that are kept, and what a layer of the teacher works with.
  const std::int64_t kept = options.layers.count() + 4;
  const std::int64_t heads = (teacher.heads + 2 * teacher.kv_heads) * teacher.head_dim;
  return tokens * width * (kept * teacher.hidden_size + 3 * teacher.mlp_size + heads);
}

Distillation::Distillation(const Lvlm& teacher, const ModelConfig& student, DistillationOptions options)
    : teacher_(&teacher), options_(checked_distillation(teacher.config(), student, std::move(options))) {}

LayerSet Distillation::compared(std::int64_t lowest) const {
  std::vector<std::int64_t> layers;
  std::copy_if(options_.layers.begin(), options_.layers.end(), std::back_inserter(layers),
               [lowest](std::int64_t layer) { return layer >= lowest; });
  return {options_.layers.depth(), std::move(layers)};
}

std::int64_t Distillation::teacher_layer(std::int64_t student_layer) const {
  const auto last = static_cast<std::int64_t>(options_.original.size()) - 1;
  return student_layer == last ? teacher_->config().decoder.layers - 1
                               : options_.original[static_cast<std::size_t>(student_layer)];
}

TeacherStates Distillation::observe(const PackedBatch& given, std::int64_t tokens, std::int64_t lowest) const {
  PackedBatch batch = given;
  if (batch.pixels.defined()) {  // the student's tower is being trained, the teacher's is not
    batch.image_features =
        teacher_->vision_features(uploaded(batch.pixels, teacher_->placement().device)).flatten(0, 1);
    batch.pixels.reset();
  }
  const LayerSet wanted = compared(lowest);
  const auto last = static_cast<std::int64_t>(options_.original.size()) - 1;
  const at::Tensor slots = uploaded(batch.target_slots, teacher_->placement().device);
  TeacherStates states;
  states.outputs.resize(options_.original.size());
  const at::Tensor stream = teacher_->forward(batch, [&](std::int64_t i, const at::Tensor& x) {
    for (const std::int64_t layer : wanted) {
      if (layer == last || teacher_layer(layer) + 1 != i) continue;
      states.outputs[static_cast<std::size_t>(layer)] = x.slice(0, 0, tokens);
    }
  });
  const at::Tensor at_targets = stream.index_select(0, slots);
  if (std::find(wanted.begin(), wanted.end(), last) != wanted.end()) states.outputs.back() = at_targets;
  if (options_.kl_weight > 0) states.last = at_targets;
  return states;
}

}  // namespace striate

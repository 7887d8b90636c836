#include "striate/tensor/composed_ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/stack.h>

#include "striate/tensor/nf4.h"

namespace striate::composed {
namespace {

at::Tensor inverse_norm(const at::Tensor& wide, double eps) {
  return (wide.square().mean(-1, /*keepdim=*/true) + eps).rsqrt();
}

at::Tensor mask_factors(const at::Tensor& x, const DropoutMask& mask) {
  DropoutMask on_cpu = mask;
  on_cpu.row_keys = mask.row_keys.cpu();
  return striate::dropout(at::ones(x.sizes(), at::TensorOptions(at::kFloat)), on_cpu).to(x.device());
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * inverse_norm(wide, eps) * weight).to(x.scalar_type());
}

SumAndNorm add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, double eps) {
  const at::Tensor sum = x + delta;
  return {sum, rms_norm(sum, weight, eps)};
}

void add_rms_norm_gradient(const at::Tensor& dx, const at::Tensor& dy, const at::Tensor& x, const at::Tensor& weight,
                           double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = inverse_norm(wide, eps);
  const at::Tensor weighted = dy.to(at::kFloat) * weight;
  const at::Tensor along = (weighted * wide).mean(-1, /*keepdim=*/true) * scale.pow(3);
  dx.add_((weighted * scale - wide * along).to(dx.scalar_type()));
}

at::Tensor rms_norm_weight_gradient(const at::Tensor& dy, const at::Tensor& x, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * inverse_norm(wide, eps) * dy.to(at::kFloat)).sum(0);
}

void rotate_heads(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, double sign) {
  const std::int64_t half = x.size(2) / 2;
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor a = wide.slice(2, 0, half);
  const at::Tensor b = wide.slice(2, half);
  const at::Tensor c = cos.unsqueeze(1);
  const at::Tensor s = sin.unsqueeze(1) * sign;
  x.copy_(at::cat({a * c - b * s, b * c + a * s}, 2));
}

at::Tensor silu_multiply(const at::Tensor& gate, const at::Tensor& up) {
  return (at::silu(gate.to(at::kFloat)) * up.to(at::kFloat)).to(gate.scalar_type());
}

void silu_multiply_backward(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& dy) {
  const at::Tensor g = gate.to(at::kFloat);
  const at::Tensor d = dy.to(at::kFloat);
  const at::Tensor sigmoid = at::sigmoid(g);
  const at::Tensor dup = d * g * sigmoid;  // before gate, which g may be, is overwritten
  gate.copy_(d * up.to(at::kFloat) * sigmoid * (g * (1.0 - sigmoid) + 1.0));
  up.copy_(dup);
}

at::Tensor quick_gelu(const at::Tensor& x) {
  const at::Tensor wide = x.to(at::kFloat);
  return (wide * (wide * 1.702).sigmoid_()).to(x.scalar_type());
}

at::Tensor cross_entropy_in_place(const at::Tensor& logits, const at::Tensor& targets, double scale) {
  const at::Tensor log_probabilities = at::log_softmax(logits.to(at::kFloat), -1);
  const at::Tensor picked = targets.unsqueeze(1);
  at::Tensor nll = log_probabilities.gather(1, picked).squeeze(1).neg();
  if (scale != 0.0) {
    at::Tensor gradient = log_probabilities.exp();
    gradient.scatter_add_(1, picked, at::empty_like(picked, gradient.options()).fill_(-1.0));
    logits.copy_(gradient.mul_(scale));
  }
  return nll;
}

at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask) {
  return (x.to(at::kFloat) * mask_factors(x, mask)).to(x.scalar_type());
}

void add_dropout(const at::Tensor& y, const at::Tensor& x, const DropoutMask& mask) {
  y.add_((x.to(at::kFloat) * mask_factors(x, mask)).to(y.scalar_type()));
}

namespace {

// Elements [first, first + count) of a matrix in nf4, in fp32; `coarse` as QuantizedMatrix::coarse().
at::Tensor nf4_values(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                      std::int64_t count) {
  constexpr auto kLevels = static_cast<std::int64_t>(nf4::kLevels.size());
  const std::int64_t mean = kLevels + static_cast<std::int64_t>(nf4::scale_levels().size());
  const std::int64_t begin = first / 2 * 2, end = first + count;
  const at::Tensor bytes = codes.slice(0, begin / 2, (end + 1) / 2).to(at::kLong);
  const at::Tensor halves = at::stack({bytes.div(16, "floor"), bytes.remainder(16)}, 1).flatten();
  const at::Tensor values = coarse.index_select(0, halves.slice(0, first - begin, first - begin + count));
  const at::Tensor block = at::arange(first, end, bytes.options()).div(nf4::kBlock, "floor");
  const at::Tensor level = coarse.index_select(0, scales.index_select(0, block).to(at::kLong).add(kLevels));
  const at::Tensor largest = coarse.index_select(0, block.div(nf4::kScalesBlock, "floor").add(mean + 1));
  return values * (level * largest + coarse.slice(0, mean, mean + 1));
}

}  // namespace

void dequantize(const at::Tensor& codes, const at::Tensor& scales, const at::Tensor& coarse, std::int64_t first,
                const at::Tensor& to) {
  if (codes.scalar_type() == at::kByte) {
    to.copy_(nf4_values(codes, scales, coarse, first * to.size(1), to.numel()).view(to.sizes()));
    return;
  }
  const at::Tensor values = codes.slice(0, first, first + to.size(0)).to(at::kFloat);
  to.copy_(values * scales.view({-1, 1}).slice(0, first, first + to.size(0)));
}

QuantizedRows quantize_rows(const at::Tensor& x) {
  constexpr double kLargest = 448.0;  // of e4m3
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scales = wide.abs().amax(1, /*keepdim=*/true).div(kLargest);
  const at::Tensor divisors = scales.masked_fill(scales.eq(0), 1.0);
  return {wide.div(divisors).clamp(-kLargest, kLargest).to(at::kFloat8_e4m3fn), scales};
}

at::Tensor square_sums(const at::Tensor& values) {
  const auto sums = [](const at::Tensor& blocks) {
    constexpr std::int64_t kAlongBlock = 1;
    return at::linalg_vector_norm(blocks, 2, kAlongBlock, false, at::kDouble).square();
  };
  const std::int64_t whole = values.numel() / kSquareBlock * kSquareBlock;
  const at::Tensor rest = values.slice(0, whole).unsqueeze(0);
  if (whole == 0) return sums(rest);
  const at::Tensor of_whole = sums(values.slice(0, 0, whole).view({-1, kSquareBlock}));
  return rest.numel() > 0 ? at::cat({of_whole, sums(rest)}) : of_whole;
}

void judge_gradients(const at::Tensor& step, const at::Tensor& sums, const at::Tensor& losses, double max_norm,
                     Betas betas) {
  const at::Tensor norm = sums.sum().sqrt();
  const at::Tensor applied = (at::isfinite(norm) & at::isfinite(losses).all()).to(at::kDouble);
  const at::Tensor factor = max_norm > 0 ? (max_norm / (norm + 1e-6)).clamp_max(1.0) : at::ones_like(norm);
  const at::Tensor updates = step.select(0, kStepUpdates) + applied;
  const auto rest = [&](double beta) { return 1.0 - at::pow(beta, updates); };
  step.copy_(at::stack({norm, factor, applied, updates, rest(betas.first).reciprocal(), rest(betas.second).rsqrt()}));
}

void adamw_in_place(const AdamWState& state, const at::Tensor& step, const AdamWSettings& settings) {
  // LibTorch's kernel takes the number of the update from 1 on, divides gradients, and does nothing where it is told of
  // infinities.
  const auto slot = [&](StepSlot which) { return step.select(0, which); };
  const at::Tensor number = slot(kStepUpdates).to(at::kFloat);
  const at::Tensor divisor = slot(kStepFactor).reciprocal().to(at::kFloat);
  const at::Tensor unwanted = (1.0 - slot(kStepApplied)).to(at::kFloat);
  for (std::size_t kind = 0; kind < settings.rates.size(); ++kind) {
    std::vector<at::Tensor> values, gradients, first, second, numbers;
    std::int64_t end = 0;
    for (std::size_t r = 0; r < state.ends.size(); ++r) {
      const std::int64_t begin = end;
      end = state.ends[r];
      if (state.kinds[r] != static_cast<std::int64_t>(kind)) continue;
      const auto part = [&](const at::Tensor& flat) { return flat.slice(0, begin, end); };
      values.push_back(part(state.values));
      gradients.push_back(part(state.gradients));
      first.push_back(part(state.first));
      second.push_back(part(state.second));
      numbers.push_back(number);
    }
    if (values.empty()) continue;
    at::_fused_adamw_(values, gradients, first, second, {}, numbers, settings.rates[kind], settings.betas.first,
                      settings.betas.second, settings.decays[kind], settings.eps, /*amsgrad=*/false,
                      /*maximize=*/false, divisor, unwanted);
  }
  if (state.rounded.numel() > 0) state.rounded.copy_(state.values);
}

}  // namespace striate::composed

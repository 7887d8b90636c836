#include "striate/model/rotary.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/pow.h>
#include <ATen/ops/where.h>

#include <numbers>

#include "striate/tensor/upload.h"

namespace striate {
namespace {

// Llama 3.1's frequencies (transformers _compute_llama3_parameters): long waves are slowed by `factor`, short ones
// kept, those between blended.
at::Tensor llama3_frequencies(const at::Tensor& base, const RopeScaling& scaling) {
  const at::Tensor wavelength = 2.0 * std::numbers::pi / base;
  const double low_wavelength = scaling.original_positions / scaling.low_freq_factor;
  const double high_wavelength = scaling.original_positions / scaling.high_freq_factor;
  const at::Tensor smooth = (scaling.original_positions / wavelength - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor blended = (1.0 - smooth) * base / scaling.factor + smooth * base;
  const at::Tensor slowed = at::where(wavelength.gt(low_wavelength), base / scaling.factor, base);
  const at::Tensor between = wavelength.ge(high_wavelength).logical_and(wavelength.le(low_wavelength));
  return at::where(between, blended, slowed);
}

}  // namespace

RotaryTable::RotaryTable(const DecoderConfig& config, at::Device device) {
  const at::TensorOptions options(at::kFloat);
  const at::Tensor exponent = at::arange(0, config.head_dim, 2, options) / static_cast<double>(config.head_dim);
  at::Tensor frequencies = 1.0 / at::pow(config.rope_theta, exponent);
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScaling::Kind::kLinear) frequencies = frequencies / scaling.factor;
  if (scaling.kind == RopeScaling::Kind::kLlama3) frequencies = llama3_frequencies(frequencies, scaling);
  frequencies_ = frequencies.to(device, at::kFloat);
}

RotaryAngles RotaryTable::at(const at::Tensor& positions) const {
  const at::Tensor angles =
      uploaded(positions, frequencies_.device()).to(at::kFloat).unsqueeze(1) * frequencies_.unsqueeze(0);
  return {angles.cos(), angles.sin()};
}

}  // namespace striate

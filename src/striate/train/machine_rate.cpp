#include "striate/train/machine_rate.h"

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <cctype>
#include <chrono>
#include <string_view>

namespace striate {
namespace {

std::string letters_of(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c != ' ' && c != '-') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace

double measured_cpu_rate(Compute compute) {
  constexpr std::int64_t kTokens = 512;
  constexpr std::int64_t kWidth = 2048;
  constexpr double kSeconds = 0.3;
  using Clock = std::chrono::steady_clock;
  const FrozenMatrix weight(at::ones({kWidth, kWidth}, at::TensorOptions(at::kBFloat16)), at::Tensor());
  const at::Tensor x = at::zeros({kTokens, kWidth}, at::TensorOptions(compute_dtype(compute)));
  weight.multiply(x, compute);  // the first one prepares
  const Clock::time_point begin = Clock::now();
  double seconds = 0;
  double operations = 0;
  while (seconds < kSeconds) {
    weight.multiply(x, compute);
    operations += 2.0 * kTokens * kWidth * kWidth;
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  return operations / seconds;
}

double assumed_cpu_rate(double measured) {
  constexpr double kShare = 0.8;
  return kShare * measured;
}

double stated_gpu_rate(const std::string& name) {
  const std::string given = letters_of(name);
  for (const Hardware& known : known_hardware()) {
    const std::string model = known.name.starts_with("rtx") ? known.name : known.name.substr(0, known.name.find('-'));
    if (given.find(letters_of(model)) != std::string::npos) return known.bf16_rate;
  }
  return 0;
}

std::optional<double> assumed_gpu_rate(const Hardware& hardware, Compute compute) {
  if (!hardware.gpu || hardware.bf16_rate <= 0 || compute != Compute::kBFloat16) return std::nullopt;
  return hardware.bf16_rate / 3;
}

}  // namespace striate

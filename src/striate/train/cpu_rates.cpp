// The rates of a CPU, measured on work of the kind and the widths that a run has.
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "striate/base/elapsed.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/matrix.h"
#include "striate/tensor/stream_attention.h"
#include "striate/tensor/train_ops.h"
#include "striate/train/speed_model.h"

namespace striate {
namespace {

constexpr std::int64_t kWidest = 4096;      // of a matrix that is multiplied; wider ones are no faster
constexpr double kProductOperations = 4e9;  // of one product at most
constexpr double kLoopBytes = 64e6;         // that one loop moves at most
constexpr double kSecondsOfEach = 0.1;      // for which each kind repeats
// Work that repeats finds its data in the caches. In steps of the benchmark's shapes, where each loop and product
// follows another, the same work ran at 0.79 to 0.93 of these rates (docs/plan.md).
constexpr double kShareInAStep = 0.88;

double seconds_by(RateClock clock) {
  if (clock == RateClock::kProcessor) {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC / at::get_num_threads();
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The shortest of a few repetitions, in seconds: what other programs take of the machine is not its rate.
template <typename Work>
double shortest(RateClock clock, const Work& work) {
  work();  // the first one prepares
  double best = 0;
  const auto begin = std::chrono::steady_clock::now();
  do {
    const double start = seconds_by(clock);
    work();
    const double seconds = seconds_by(clock) - start;
    best = best == 0 ? seconds : std::min(best, seconds);
  } while (seconds_since(begin) < kSecondsOfEach);
  return std::max(best, 1e-9);
}

class CpuTimer {
 public:
  CpuTimer(const PlanRequest& request, RateClock clock)
      : request_(request), decoder_(request.config.decoder), clock_(clock) {
    hidden_ = std::min(decoder_.hidden_size, kWidest);
    mlp_ = std::min(decoder_.mlp_size, kWidest);
    options_ = at::TensorOptions(compute_dtype(request.compute));
  }

  MachineRates rates() const {
    const at::NoGradGuard no_autograd;
    MachineRates rates;
    rates.gpu = false;
    rates.products = kShareInAStep * products();
    rates.adapters = kShareInAStep * adapters();
    rates.attention = kShareInAStep * attention();
    rates.memory = kShareInAStep * loops();
    rates.launch = call();
    return rates;
  }

 private:
  at::Tensor rows(std::int64_t count, std::int64_t width) const { return at::full({count, width}, 0.5, options_); }

  // As many of the stream's tokens as `most` allows, of which one takes `each`.
  std::int64_t tokens_within(double most, double each) const {
    return std::clamp<std::int64_t>(static_cast<std::int64_t>(most / each), 16,
                                    std::max<std::int64_t>(16, request_.stream.tokens));
  }

  // Forward and input gradient of a square matrix and of the MLP's.
  double products() const {
    const double each = 2.0 * static_cast<double>(hidden_) * static_cast<double>(hidden_ + mlp_);
    const std::int64_t tokens = tokens_within(kProductOperations, each);
    const auto weights = [](std::int64_t out, std::int64_t in) {
      return FrozenMatrix(at::full({out, in}, 0.01, at::TensorOptions(at::kBFloat16)));
    };
    const FrozenMatrix square = weights(hidden_, hidden_);
    const FrozenMatrix wide = weights(mlp_, hidden_);
    const at::Tensor x = rows(tokens, hidden_);
    const at::Tensor dy = rows(tokens, mlp_);
    const double seconds = shortest(clock_, [&] {
      square.multiply(x, request_.compute);
      wide.multiply(x, request_.compute);
      square.input_gradient(x, request_.compute);
      wide.input_gradient(dy, request_.compute);
    });
    return 2 * each * static_cast<double>(tokens) / seconds;
  }

  // The six products of an adapter on the MLP's first matrix, as model/linear.cpp makes them.
  double adapters() const {
    const bool used = request_.tune.stage == Stage::kTune && request_.tune.kind == TuneKind::kLora;
    const std::int64_t rank = std::min<std::int64_t>(used ? request_.tune.lora.rank : 16, kWidest);
    const double each = 2.0 * static_cast<double>(rank) * static_cast<double>(hidden_ + mlp_);
    const std::int64_t tokens = tokens_within(kProductOperations, 3 * each);
    const at::Tensor x = rows(tokens, hidden_);
    const at::Tensor y = rows(tokens, mlp_);
    const at::Tensor a = at::full({rank, hidden_}, 0.01, options_);
    const at::Tensor b = at::zeros({mlp_, rank}, options_);
    const at::Tensor da = at::zeros({rank, hidden_}, at::TensorOptions(at::kFloat));
    const at::Tensor db = at::zeros({mlp_, rank}, at::TensorOptions(at::kFloat));
    const double seconds = shortest(clock_, [&] {
      const at::Tensor low = at::linear(x, a);
      y.addmm_(low, b.t());
      const at::Tensor dlow = at::mm(y, b);
      db.add_(at::mm(y.t(), low));
      da.add_(at::mm(dlow.t(), x));
      x.addmm_(dlow, a);
    });
    return 3 * each * static_cast<double>(tokens) / seconds;
  }

  // Samples of the stream's mean length, forward and backward.
  double attention() const {
    const std::int64_t mean = request_.stream.tokens / std::max<std::int64_t>(1, request_.stream.samples);
    const std::int64_t length = std::clamp<std::int64_t>(mean, 1, 1024);
    const std::int64_t width = decoder_.head_dim * (decoder_.heads + 2 * decoder_.kv_heads);
    const std::int64_t samples =
        std::max<std::int64_t>(1, tokens_within(kLoopBytes, 2.0 * static_cast<double>(width)) / length);
    const std::int64_t tokens = samples * length;
    StreamShape shape;
    for (std::int64_t s = 0; s <= samples; ++s) shape.bounds.push_back(s * length);
    const auto heads = [&](std::int64_t count) { return at::full({tokens, count, decoder_.head_dim}, 0.1, options_); };
    const at::Tensor q = heads(decoder_.heads), k = heads(decoder_.kv_heads), v = heads(decoder_.kv_heads);
    const double seconds = shortest(clock_, [&] {
      const StreamAttentionResult forward = stream_attention(q, k, v, shape);
      stream_attention_gradients(q, q, k, v, forward, shape);
    });
    const auto side = static_cast<double>(length);
    const double pairs = side * (side + 1) / 2 * static_cast<double>(samples);
    return 3.5 * 4 * static_cast<double>(decoder_.heads * decoder_.head_dim) * pairs / seconds;
  }

  // A norm and a gate, forward and backward, with the bytes that speed_model.cpp counts for them.
  double loops() const {
    const auto element = static_cast<double>(options_.dtype().itemsize());
    const double each = element * static_cast<double>(6 * hidden_ + 8 * mlp_);
    const std::int64_t tokens = tokens_within(kLoopBytes, each);
    const at::Tensor x = rows(tokens, hidden_), dx = rows(tokens, hidden_);
    const at::Tensor gate = rows(tokens, mlp_), up = rows(tokens, mlp_);
    const at::Tensor weight = at::full({hidden_}, 1.0, at::TensorOptions(at::kFloat));
    const double seconds = shortest(clock_, [&] {
      rms_norm(x, weight, 1e-5);
      add_rms_norm_gradient(dx, x, x, weight, 1e-5);
      const at::Tensor inner = silu_multiply(gate, up);
      silu_multiply_backward(gate, up, inner);
    });
    return each * static_cast<double>(tokens) / seconds;
  }

  double call() const {
    const at::Tensor x = rows(1, 16);
    const at::Tensor weight = at::full({16}, 1.0, at::TensorOptions(at::kFloat));
    return shortest(clock_, [&] { rms_norm(x, weight, 1e-5); });
  }

  const PlanRequest& request_;
  const DecoderConfig& decoder_;
  RateClock clock_;
  std::int64_t hidden_ = 0, mlp_ = 0;
  at::TensorOptions options_;
};

}  // namespace

MachineRates measured_cpu_rates(const PlanRequest& request, RateClock clock) {
  return CpuTimer(request, clock).rates();
}

}  // namespace striate

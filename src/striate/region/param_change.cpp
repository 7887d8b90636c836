#include "striate/region/param_change.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"

namespace striate {
namespace {

constexpr const char* kBaseHint = "give the model that this one was tuned from";

// ||W' - W||^2 and ||W||^2.
struct Squares {
  double change = 0, weight = 0;
  double ratio() const { return std::sqrt(change / weight); }
};

double squared_norm(const at::Tensor& x) {
  const double norm = at::linalg_vector_norm(x, 2, std::nullopt, false, at::kDouble).item<double>();
  return norm * norm;
}

// `weight`: the tuned linear's own, without its adapter.
Squares compare(const Linear& tuned, const at::Tensor& weight, const at::Tensor& base) {
  constexpr std::int64_t kBlockElements = 1 << 20;
  const auto* lora = dynamic_cast<const LoraLinear*>(&tuned);
  const std::int64_t block = std::max<std::int64_t>(1, kBlockElements / std::max<std::int64_t>(1, weight.size(1)));
  Squares squares;
  for (std::int64_t first = 0; first < weight.size(0); first += block) {
    const std::int64_t end = std::min(first + block, weight.size(0));
    const at::Tensor before = base.slice(0, first, end).to(at::kFloat);
    at::Tensor after = weight.slice(0, first, end).to(at::kCPU, at::kFloat);
    if (lora != nullptr) {
      after = after + at::matmul(lora->b().slice(0, first, end).cpu(), lora->a().cpu()) * lora->scale();
    }
    squares.change += squared_norm(after - before);
    squares.weight += squared_norm(before);
  }
  return squares;
}

// The base's weight, checked against the shape it must have.
at::Tensor base_weight(const Checkpoint& base, const std::string& name, const std::vector<std::int64_t>& shape) {
  const WeightSource::Entry* entry = base.weights.find(name);
  if (entry == nullptr) {
    throw invalid_input(
        cat("`base` ", base.folder.string(), ": the base has no tensor ", name, ", but the model has it"), kBaseHint);
  }
  if (entry->info->shape != shape) {
    throw invalid_input(cat("`base` ", base.folder.string(), ": tensor ", name, " is ", shape_text(entry->info->shape),
                            ", but the model's is ", shape_text(shape)),
                        kBaseHint);
  }
  return base.weights.load(name, shape);
}

}  // namespace

ParamChange param_change(const Lvlm& tuned, const Checkpoint& base, const WeightSource* stored) {
  const at::NoGradGuard no_grad;
  const std::vector<DecoderLayer>& layers = tuned.decoder().layers();
  const std::int64_t depth = base.config.decoder.layers;
  if (depth != static_cast<std::int64_t>(layers.size())) {
    throw invalid_input(
        cat("`base` ", base.folder.string(), ": has ", counted(depth, "layer"), ", but the model has ", layers.size()),
        kBaseHint);
  }
  ParamChange out;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    Squares whole;
    double sum = 0;
    for (const auto& [name, linear] : layers[i].linears()) {
      const std::vector<std::int64_t> shape = {linear->out_features(), linear->in_features()};
      const std::string tensor = cat("model.layers.", i, ".", name, ".weight");
      const FrozenMatrix matrix = linear->matrix();
      // On the CPU the model computes with what is stored, unless it is quantised.
      const bool others = matrix.is_quantized() || !matrix.weight().is_cpu();
      const at::Tensor weight = stored != nullptr && others ? stored->load(tensor, shape) : matrix.weight();
      const Squares squares = compare(*linear, weight, base_weight(base, tensor, shape));
      whole.change += squares.change;
      whole.weight += squares.weight;
      sum += squares.ratio();
      out.linears[name].push_back(squares.ratio());
    }
    out.joint.push_back(whole.ratio());
    out.sum.push_back(sum);
    out.mean.push_back(sum / static_cast<double>(layers[i].linears().size()));
  }
  return out;
}

void report(const ParamChange& change, ScoreFile& file) {
  file.layers = static_cast<std::int64_t>(change.joint.size());
  file.metrics["param_change"].mean = change.joint;
  file.metrics["param_change_mean"].mean = change.mean;
  file.metrics["param_change_sum"].mean = change.sum;
  for (const auto& [name, ratios] : change.linears) file.param_change_linears[name].mean = ratios;
}

}  // namespace striate

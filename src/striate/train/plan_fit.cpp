// Which machines a plan fits into, and what to change where it does not.
#include <algorithm>
#include <fstream>
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/train/plan.h"

namespace striate {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
// What the driver's context, cuBLAS's workspaces and kernels take of a GPU.
constexpr std::int64_t kGpuLibraries = kGiB;

std::int64_t least_memory(const PlanRequest& request) {
  return plan_cost(request).memory.total(ActivationPolicy::kRecomputeLayer);
}

PlanRequest with_tokens(PlanRequest request, std::int64_t tokens) {
  const PlannedStream whole = request.stream;
  const double share = static_cast<double>(tokens) / static_cast<double>(whole.tokens);
  const auto part = [share](std::int64_t count) {
    return static_cast<std::int64_t>(static_cast<double>(count) * share);
  };
  request.stream.tokens = tokens;
  request.stream.image_rows = part(whole.image_rows);
  request.stream.targets = std::max<std::int64_t>(1, part(whole.targets));
  request.stream.samples = std::max<std::int64_t>(1, part(whole.samples));
  return request;
}

class Adviser {
 public:
  Adviser(const PlanRequest& request, std::int64_t budget) : request_(request), budget_(budget) {}

  std::vector<Advice> all() {
    shorter_streams();
    fewer_layers();
    smaller_adapters();
    return std::move(advice_);
  }

 private:
  void add(std::string change, const PlanRequest& changed) {
    const std::int64_t memory = least_memory(changed);
    advice_.push_back({std::move(change), memory, memory <= budget_});
  }

  // Half as many tokens until it fits, down to one sample.
  void shorter_streams() {
    const std::int64_t sample = request_.stream.tokens / std::max<std::int64_t>(1, request_.stream.samples);
    std::int64_t tokens = request_.stream.tokens;
    while (tokens / 2 >= sample && least_memory(with_tokens(request_, tokens)) > budget_) tokens /= 2;
    if (tokens < request_.stream.tokens) add(cat("--tokens-per-stream ", tokens), with_tokens(request_, tokens));
  }

  // Half as many layers, evenly spread, until it fits.
  void fewer_layers() {
    if (request_.tune.stage != Stage::kTune) return;
    PlanRequest fewer = request_;
    const std::int64_t depth = request_.config.decoder.layers;
    auto count = static_cast<std::int64_t>(request_.tune.layers.size());
    while (count > 1 && least_memory(fewer) > budget_) {
      count /= 2;
      fewer.tune.layers.clear();
      for (std::int64_t i = 0; i < count; ++i) fewer.tune.layers.push_back(i * depth / count);
    }
    if (fewer.tune.layers.size() < request_.tune.layers.size()) add(cat("--layers uniform:", count), fewer);
  }

  void smaller_adapters() {
    if (request_.tune.stage != Stage::kTune) return;
    PlanRequest changed = request_;
    if (changed.tune.kind == TuneKind::kFull) {
      changed.tune.kind = TuneKind::kLora;
      add("--tune lora", changed);
      return;
    }
    while (changed.tune.lora.rank > 8 && least_memory(changed) > budget_) changed.tune.lora.rank /= 2;
    if (changed.tune.lora.rank < request_.tune.lora.rank) add(cat("--lora-r ", changed.tune.lora.rank), changed);
  }

  const PlanRequest& request_;
  std::int64_t budget_;
  std::vector<Advice> advice_;
};

}  // namespace

std::vector<Hardware> known_hardware() {
  return {{"rtx-3060", 12 * kGiB, true}, {"t4", 16 * kGiB, true},         {"rtx-4080", 16 * kGiB, true},
          {"l4", 24 * kGiB, true},       {"rtx-3090", 24 * kGiB, true},   {"rtx-4090", 24 * kGiB, true},
          {"rtx-5090", 32 * kGiB, true}, {"v100-32", 32 * kGiB, true},    {"a100-40", 40 * kGiB, true},
          {"a6000", 48 * kGiB, true},    {"l40s", 48 * kGiB, true},       {"a100-80", 80 * kGiB, true},
          {"h100", 80 * kGiB, true},     {"h200", 141'000'000'000, true}, {"b200", 180'000'000'000, true}};
}

Hardware find_hardware(const std::string& name) {
  if (name == "this") return {"this machine", free_memory(), false};
  std::vector<std::string> names = {"this"};
  for (const Hardware& hardware : known_hardware()) {
    if (hardware.name == name) return hardware;
    names.push_back(hardware.name);
  }
  const std::string nearest = nearest_name(name, names);
  throw invalid_input(
      cat("--hardware ", name, ": unknown"),
      nearest.empty() ? cat("known: ", join(names, ", "), "; or give --memory") : cat("did you mean ", nearest, "?"));
}

std::int64_t free_memory() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::int64_t kilobytes = 0;
  for (std::string unit; file >> name >> kilobytes; std::getline(file, unit)) {
    if (name == "MemAvailable:") return kilobytes * 1024;
  }
  return 0;
}

std::int64_t usable_memory(const Hardware& hardware) {
  if (!hardware.gpu) return hardware.memory;
  return (hardware.memory - kGpuLibraries) / 20 * 19;
}

std::vector<Advice> advise(const PlanRequest& request, std::int64_t budget) {
  if (policy_within(plan_cost(request).memory, budget)) return {};
  std::vector<Advice> advice = Adviser(request, budget).all();
  std::stable_sort(advice.begin(), advice.end(), [](const Advice& a, const Advice& b) { return a.fits > b.fits; });
  return advice;
}

}  // namespace striate

// Which machines a plan fits into, and what to change where it does not.
#include <algorithm>
#include <cctype>
#include <fstream>
#include <string>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/region/layer_grammar.h"
#include "striate/train/plan.h"

namespace striate {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
// What the driver's context, cuBLAS's workspaces and kernels take of a GPU.
constexpr std::int64_t kGpuLibraries = kGiB;

// A machine's name as people write it: "NVIDIA RTX 4090", "rtx-4090" and "4090" are one.
std::string bare_name(std::string_view name) {
  std::string bare;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      bare += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  for (const std::string_view maker : {"nvidia", "geforce", "rtx"}) {
    if (bare.starts_with(maker)) bare.erase(0, maker.size());
  }
  if (bare.ends_with("gb")) bare.resize(bare.size() - 2);
  return bare;
}

// Whether `asked` is the machine's name, the name without the size of its memory, or the name with it.
bool is_called(const Hardware& hardware, const std::string& asked) {
  const std::string bare = bare_name(asked);
  const std::string name = bare_name(hardware.name);
  // h200 and b200 have their sizes in decimal units.
  const bool decimal = hardware.memory % kGiB != 0;
  const std::string size = std::to_string(hardware.memory / (decimal ? 1'000'000'000 : kGiB));
  return bare == name || bare + size == name || bare == name + size;
}

std::int64_t least_memory(const PlanRequest& request) {
  return plan_cost(request).memory.total(ActivationCheckpointing::kLayer);
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
    lower_precision();
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
    if (tokens < request_.stream.tokens) add(cat("`tokens_per_stream` ", tokens), with_tokens(request_, tokens));
  }

  // The first of the smaller precisions with which it fits, else the smallest.
  void lower_precision() {
    PlanRequest lower = request_;
    lower.tune.frozen_precision = FrozenPrecision::kNf4;
    if (request_.tune.frozen_precision == FrozenPrecision::kNf4) return;
    if (quantized_layers(request_.config.decoder, lower.tune).layers.empty()) return;
    PlanRequest int8 = lower;
    int8.tune.frozen_precision = FrozenPrecision::kInt8;
    const bool suits = request_.tune.frozen_precision == FrozenPrecision::kStored && least_memory(int8) <= budget_;
    const PlanRequest& chosen = suits ? int8 : lower;
    add(cat("`frozen_precision` ", frozen_precision_name(chosen.tune.frozen_precision)), chosen);
  }

  // Half as many layers, evenly spread, until it fits.
  void fewer_layers() {
    if (request_.tune.stage != Stage::kTune) return;
    PlanRequest fewer = request_;
    const std::int64_t depth = request_.config.decoder.layers;
    std::int64_t count = request_.tune.layers.count();
    while (count > 1 && least_memory(fewer) > budget_) {
      count /= 2;
      fewer.tune.layers = parse_layer_set(cat("uniform:", count), depth);
    }
    if (fewer.tune.layers.size() < request_.tune.layers.size()) add(cat("`layers` uniform:", count), fewer);
  }

  void smaller_adapters() {
    if (request_.tune.stage != Stage::kTune) return;
    PlanRequest changed = request_;
    if (changed.tune.kind == TuneKind::kFull) {
      changed.tune.kind = TuneKind::kLora;
      add("`tune` lora", changed);
      return;
    }
    while (changed.tune.lora.rank > 8 && least_memory(changed) > budget_) changed.tune.lora.rank /= 2;
    if (changed.tune.lora.rank < request_.tune.lora.rank) add(cat("`lora_r` ", changed.tune.lora.rank), changed);
  }

  const PlanRequest& request_;
  std::int64_t budget_;
  std::vector<Advice> advice_;
};

// What there is for a rank, as the end of a sentence.
std::string room_of_rank(std::int64_t free, int ranks_here) {
  const std::string all = human_bytes(static_cast<std::uint64_t>(free));
  if (ranks_here == 1) return cat("only ", all, " are free");
  return cat("each of the ", ranks_here, " ranks on this machine has only ",
             human_bytes(static_cast<std::uint64_t>(free / ranks_here)), " of the ", all, " that are free");
}

}  // namespace

std::vector<Hardware> known_hardware() {
  constexpr double kTera = 1e12;
  constexpr double kGiga = 1e9;
  // The T4 and the V100 have no bf16 units, and those before Ada none for e4m3. H100, H200, A100 80 GB: the SXM
  // modules.
  return {{"rtx-3060", 12 * kGiB, true, 25.5 * kTera, 360 * kGiga},
          {"t4", 16 * kGiB, true, 0, 320 * kGiga},
          {"rtx-4080", 16 * kGiB, true, 97.5 * kTera, 716.8 * kGiga, 194.9 * kTera},
          {"l4", 24 * kGiB, true, 121 * kTera, 300 * kGiga, 242 * kTera},
          {"rtx-3090", 24 * kGiB, true, 71 * kTera, 936 * kGiga},
          {"rtx-4090", 24 * kGiB, true, 165.2 * kTera, 1008 * kGiga, 330.3 * kTera},
          {"rtx-5090", 32 * kGiB, true, 209.5 * kTera, 1792 * kGiga, 419 * kTera},
          {"v100-32", 32 * kGiB, true, 0, 900 * kGiga},
          {"a100-40", 40 * kGiB, true, 312 * kTera, 1555 * kGiga},
          {"a6000", 48 * kGiB, true, 154.8 * kTera, 768 * kGiga},
          {"l40s", 48 * kGiB, true, 362 * kTera, 864 * kGiga, 733 * kTera},
          {"a100-80", 80 * kGiB, true, 312 * kTera, 2039 * kGiga},
          {"h100", 80 * kGiB, true, 989.5 * kTera, 3350 * kGiga, 1979 * kTera},
          {"h200", 141'000'000'000, true, 989.5 * kTera, 4800 * kGiga, 1979 * kTera},
          {"b200", 180'000'000'000, true, 2250 * kTera, 8000 * kGiga, 4500 * kTera}};
}

std::vector<Hardware> find_hardware(const std::string& name) {
  if (name == "this") return {{"this machine", free_memory(), false}};
  std::vector<std::string> names = {"this"};
  std::vector<Hardware> found;
  for (const Hardware& hardware : known_hardware()) {
    if (is_called(hardware, name)) found.push_back(hardware);
    names.push_back(hardware.name);
  }
  if (!found.empty()) return found;
  const std::string nearest = nearest_name(name, names);
  throw invalid_input(
      cat("`hardware` ", name, ": unknown"),
      nearest.empty() ? cat("known: ", join(names, ", "), "; or give `memory`") : cat("did you mean ", nearest, "?"));
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

std::int64_t memory_of_rank(const MemoryPlan& memory, std::int64_t free, int ranks_here) {
  const std::int64_t mapped = memory.weights - memory.quantized;
  return (free - mapped) / ranks_here + mapped;
}

void require_room_to_train(const ModelConfig& config, const TuneOptions& tune, Compute compute, std::int64_t free,
                           int ranks_here, int sharing) {
  PlanRequest request;
  request.ranks = sharing;
  request.shard_optimizer = sharing > 1;
  request.config = config;
  request.tune = tune;
  request.compute = compute;
  request.stream = {.tokens = 1, .image_rows = 0, .targets = 1, .samples = 1};
  const TrainingCost cost = plan_cost(request);
  const std::int64_t needed = cost.memory.parameters + cost.memory.gradients + cost.memory.moments;
  const std::int64_t available = free / ranks_here;
  if (needed <= available || free == 0) return;  // 0: the system does not say
  const bool adapters = tune.stage == Stage::kTune && tune.kind == TuneKind::kLora;
  throw invalid_input(cat(adapters ? cat("`lora_r` ", tune.lora.rank) : "this model", ": ",
                          human_count(static_cast<std::uint64_t>(cost.parameters)), " trained parameters need ",
                          human_bytes(static_cast<std::uint64_t>(needed)), " with their gradients and moments, but ",
                          room_of_rank(free, ranks_here)),
                      cat(adapters ? "give a smaller `lora_r` or fewer `layers`" : "train adapters, or fewer `layers`",
                          "; striate plan shows what a run needs"));
}

std::int64_t usable_memory(const Hardware& hardware) {
  if (!hardware.gpu) return hardware.memory;
  return (hardware.memory - kGpuLibraries) / 20 * 19;
}

std::vector<PrecisionFit> fits_by_precision(const PlanRequest& request) {
  std::vector<PrecisionFit> fits;
  for (const FrozenPrecision precision : kFrozenPrecisions) {
    PlanRequest asked = request;
    asked.on_gpu = asked.fp8_units = true;
    asked.tune.frozen_precision = precision;
    const bool quantizes = !quantized_layers(request.config.decoder, asked.tune).layers.empty();
    if (precision != FrozenPrecision::kStored && !quantizes) return {};
    asked.gpu_memory = PlanRequest{}.gpu_memory;  // of no card yet
    PrecisionFit fit{precision, plan_cost(asked).memory, {}};
    for (const std::int64_t size : kCardSizes) {
      const Hardware card{"", size * kGiB};
      asked.gpu_memory = card.memory;
      fit.cards.push_back(checkpointing_within(plan_cost(asked).memory, usable_memory(card)));
    }
    fits.push_back(std::move(fit));
  }
  return fits;
}

std::vector<Advice> advise(const PlanRequest& request, std::int64_t budget) {
  if (checkpointing_within(plan_cost(request).memory, budget)) return {};
  std::vector<Advice> advice = Adviser(request, budget).all();
  std::stable_sort(advice.begin(), advice.end(), [](const Advice& a, const Advice& b) { return a.fits > b.fits; });
  return advice;
}

}  // namespace striate

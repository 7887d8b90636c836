#include "apps/striate/plan_flags.h"

#include <utility>

#include "apps/striate/flag_ranges.h"
#include "striate/base/byte_size.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

constexpr std::int64_t kMostRanks = 1 << 16;

// What is computed in, where it was said.
std::optional<Compute> compute_asked(const std::string& precision) {
  if (precision == "fp32") return Compute::kFloat32;
  if (precision == "bf16") return Compute::kBFloat16;
  return std::nullopt;
}

}  // namespace

void PlanFlags::add_to(CLI::App& command) {
  train.add_to(command);
  command.get_option("--layers")
      ->description("Layers that training may change: paper, all, 0,4,8-11, ...; default: uniform:25%");
  command.get_option("--data")->description(
      "Training data (LLaVA JSON or JSON Lines), to estimate steps, hours and disk; up to 1000 samples are read (with "
      "--tokens-per-step all), and no picture");
  command.get_option("--json")->description("Print one JSON object and nothing else");
  const std::string group = "Plan";
  command.add_option("--hardware", hardware, "Machines that the run should fit on: a100, rtx-4090, this, ...")
      ->delimiter(',')
      ->type_name("NAMES")
      ->group(group);
  command.add_option("--memory", memory, "Memory that the run should fit into")->type_name("SIZE")->group(group);
  command
      .add_option("--sample-tokens", sample_tokens, "Tokens of a sample; default: the image rows of a picture plus 192")
      ->check(whole_number(2, kMostTokens))
      ->type_name("N")
      ->group(group);
  command.add_option("--sample-targets", sample_targets, "Target positions of a sample; default: 64")
      ->check(whole_number(1, kMostTokens))
      ->type_name("N")
      ->group(group);
  command.add_option("--ranks", ranks, "Processes that the run has; costs are those of each")
      ->check(whole_number(1, kMostRanks))
      ->capture_default_str()
      ->type_name("N")
      ->group(group);
  command.add_flag("--text-only", text_only, "Plan for samples without pictures")->group(group);
}

RunPlanRequest PlanFlags::request(std::vector<AskedMachine> machines) const {
  RunPlanRequest r;
  r.model = train.model.paths();
  r.tune = train.tune_method();
  if (r.tune.stage == Stage::kTune) {
    r.layers = train.layers.empty() ? "uniform:25%" : train.layers;
  } else if (!train.layers.empty()) {
    throw invalid_input(cat("--layers does not apply to --stage ", train.stage),
                        "leave out --layers: only --stage tune changes chosen layers");
  }
  r.data = train.training_data();
  r.sample = {sample_tokens, sample_targets, text_only};
  r.tokenizer = train.text.tokenizer_asked();
  r.conversation = train.text.conversation_asked();
  if (train.steps && train.epochs) throw invalid_input("--steps and --epochs exclude each other", "give one of them");
  r.steps = train.steps;
  r.epochs = train.epochs.value_or(1);
  r.count_steps = true;
  r.save_every = train.request.save_every;
  r.keep = train.request.keep;
  r.save_dtype = train.saved_type();
  r.compute = compute_asked(train.compute.precision);
  r.ranks = ranks;
  r.shard_optimizer = train.request.shard_optimizer;
  r.machines = std::move(machines);
  if (!memory.empty()) r.memory = static_cast<std::int64_t>(parse_bytes(memory, "--memory"));
  return r;
}

}  // namespace striate::app

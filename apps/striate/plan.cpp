// striate plan: what a training run would cost, from the model's headers alone.
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <iostream>
#include <memory>

#include "apps/striate/command.h"
#include "apps/striate/plan_flags.h"
#include "apps/striate/plan_report.h"
#include "apps/striate/terminal_notes.h"
#include "striate/cuda/gpu_list.h"
#include "striate/train/run_plan.h"
#include "striate/train/speed_model.h"

namespace striate::app {
namespace {

// The GPU that training would take, where there is one.
std::optional<Hardware> gpu_here() {
  const std::vector<cuda::Gpu> gpus = cuda::list_gpus();
  if (gpus.empty()) return std::nullopt;
  Hardware here = gpu_hardware(gpus.front().name, gpus.front().memory);
  here.name = "this GPU";
  return here;
}

std::vector<AskedMachine> machines_asked(const PlanFlags& flags) {
  std::vector<AskedMachine> asked;
  for (const std::string& name : flags.hardware) {
    for (const Hardware& machine : find_hardware(name)) asked.push_back({name, machine});
  }
  if (!asked.empty()) return asked;
  const std::string& device = flags.train.compute.device;
  const bool gpu = device == "cuda" || (device == "auto" && at::hasCUDA());
  if (!flags.memory.empty()) return {{"", {gpu ? "a GPU" : "this machine", 0, gpu}}};
  // A GPU's memory is not the main memory: a run there asks for the former.
  const std::optional<Hardware> here = gpu ? gpu_here() : std::nullopt;
  if (here) asked.push_back({"", *here});
  if (!gpu) asked.push_back({"", find_hardware("this").front()});
  for (const Hardware& machine : known_hardware()) asked.push_back({"", machine});
  return asked;
}

void run_plan(const PlanFlags& flags, CLI::App& command) {
  flags.train.read_config(command);
  if (flags.train.compute.threads > 0) at::set_num_threads(flags.train.compute.threads);
  const RunPlanRequest request = flags.request(machines_asked(flags));
  const RunPlan planned = plan_run(request, terminal_notes());
  if (flags.train.json) {
    std::cout << plan_json(planned).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
  } else {
    print_plan(planned);
    std::cout.flush();
  }
  require_fit(request, planned);  // the plan is out; that what was asked about is too small is an error all the same
}

}  // namespace

void add_plan(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand("plan", "Estimate what a training run needs, before anything runs");
  flags->add_to(*command);
  command->footer(
      example("striate plan --model llava-1.5-7b-hf --layers uniform:25% --data conversations.json --hardware a100"));
  command->callback([flags, command, &run] { run.action = [flags, command] { run_plan(*flags, *command); }; });
}

}  // namespace striate::app

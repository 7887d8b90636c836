// striate prune: removes the layers that matter least, outside the region that was taught to see.
#include <cmath>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/prune_flags.h"
#include "striate/base/strings.h"

namespace striate::app {
namespace {

std::string size_text(std::int64_t layers, const ModelSize& size) {
  return cat(counted(layers, "layer"), ", ", human_count(static_cast<std::uint64_t>(size.parameters)), " parameters, ",
             human_bytes(size.bytes));
}

std::string adapter_folder(const PruneRequest& request) {
  return (request.output.out / kKeptAdapterFolder).string();
}

void print_removed(const PruneRequest& request, const PruneResult& p) {
  std::cout << "removed layer  " << (request.layers.empty() ? request.choice.metric : "") << '\n';
  for (const PrunedLayer& layer : p.removed) {
    std::cout << std::setw(13) << layer.layer;
    if (std::isfinite(layer.score)) std::cout << "  " << std::setprecision(4) << layer.score;
    std::cout << '\n';
  }
}

void print_text(const PruneRequest& request, const PruneResult& p) {
  const std::string out = request.output.out.string();
  const LayerSet kept = p.gone().complement();
  std::cout << "before   " << LayerSet::all(p.layers()).stripes() << "  " << size_text(p.layers(), p.before) << '\n';
  if (p.region.empty()) {
    std::cout << "region   none: any layer may be removed\n";
  } else {
    std::cout << "region   " << p.region.stripes() << "  " << p.region.list() << '\n';
  }
  std::cout << "after    " << kept.stripes() << "  " << size_text(kept.count(), p.after) << '\n'
            << "saved    " << human_count(static_cast<std::uint64_t>(p.before.parameters - p.after.parameters))
            << " parameters, " << human_bytes(p.before.bytes - p.after.bytes) << '\n'
            << "scores   " << p.scores << "\n\n";
  print_removed(request, p);
  std::cout << '\n';
  print_written(out, p.family, p.written);
  if (p.check) std::cout << "logits: " << check_text(*p.check) << ", compared with the model pruned in memory\n";
  std::cout << "ask it with  striate chat --model " << out;
  if (request.keep_adapter) std::cout << " --adapter " << adapter_folder(request);
  std::cout << std::endl;
}

void print_json(const PruneRequest& request, const PruneResult& p) {
  nlohmann::json out = prune_choice_json(request, p);
  out["out"] = request.output.out.string();
  if (request.keep_adapter) out["adapter"] = adapter_folder(request);
  out["layers_before"] = p.layers();
  out["original"] = p.gone().complement().numbers();
  out["parameters"] = {{"before", p.before.parameters}, {"after", p.after.parameters}};
  out["bytes"] = {{"before", p.before.bytes}, {"after", p.after.bytes}, {"written", p.written.bytes}};
  out["check"] = check_json(p.check);
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void run_prune(const PruneFlags& flags, const CLI::App& command) {
  const PruneRequest request = flags.prune_request(command);
  const PruneResult result = prune_model(request);
  flags.json ? print_json(request, result) : print_text(request, result);
}

}  // namespace

void add_prune(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<PruneFlags>();
  CLI::App* command = app.add_subcommand("prune", "Remove layers outside the region, and check the result");
  flags->add_to(*command);
  command->footer(
      example("striate prune --model llava-1.5-7b-hf --adapter tuned --region from-run --remove 4 --metric angular "
              "--scores scores.json --out pruned"));
  command->callback([flags, command, &run] {
    run.computes = true;
    run.action = [flags, command] {
      flags->compute.threads = flags->output.threads;
      flags->sweep.empty() ? run_prune(*flags, *command) : run_prune_sweep(*flags, *command);
    };
  });
}

}  // namespace striate::app

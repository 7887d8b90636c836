// striate revert: gives layers of a tuned model back what they were before tuning.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/export_flags.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/strings.h"
#include "striate/edit/revert_model.h"
#include "striate/model/layer_set.h"

namespace striate::app {
namespace {

struct RevertFlags {
  ModelFlags model;
  OutputFlags output;
  std::string base, layers;
  bool json = false;
};

RevertRequest request_of(const RevertFlags& flags) {
  RevertRequest request;
  request.model = flags.model.paths();
  if (!flags.base.empty()) request.base = existing_path("--base", flags.base);
  request.layers = flags.layers;
  request.output = flags.output.request();
  return request;
}

void print_json(const RevertFlags& flags, const RevertResult& result) {
  const nlohmann::json out = {{"out", flags.output.out},
                              {"kind", result.written ? "model" : "adapter"},
                              {"reverted", result.layers.numbers()},
                              {"check", check_json(result.check)}};
  std::cout << out.dump(2) << std::endl;
}

// What the reverted layers are now. A type that was asked for is that of every weight, the base's too.
std::string reverted_text(const RevertFlags& flags, const RevertResult& result) {
  if (!result.written) return "left out of the adapter";
  if (flags.output.type()) return cat("the base's weights, written as ", flags.output.dtype);
  return "the base's weights, bit for bit";
}

void print_text(const RevertFlags& flags, const RevertResult& result) {
  if (result.written) {
    print_written(flags.output.out, result.family, *result.written);
  } else {
    std::cout << "wrote " << flags.output.out << ": an adapter on " << named_layers(result.adapter_layers) << '\n';
  }
  std::cout << "reverted " << named_layers(result.layers.numbers()) << " (" << reverted_text(flags, result) << ")\n";
  if (result.check) std::cout << "logits: " << check_text(*result.check) << '\n';
  std::cout.flush();
}

void run_revert(const RevertFlags& flags, const CLI::App& command) {
  if (!flags.model.adapter.empty()) {
    refuse_unread(command, {"--base"}, "does not apply to --adapter",
                  "leave it out: the model that the adapter is on is given with --model DIR");
  }
  const RevertRequest request = request_of(flags);
  if (reverts_adapter(request.model)) {
    refuse_unread(command, {"--max-shard-size"}, "does not apply to an adapter",
                  "leave it out: only the weights of a whole model are divided into files");
  }
  const RevertResult result = revert_model(request);
  flags.json ? print_json(flags, result) : print_text(flags, result);
}

}  // namespace

void add_revert(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<RevertFlags>();
  CLI::App* command = app.add_subcommand("revert", "Restore the weights that layers had before tuning");
  flags->model.add_to(*command);
  command->add_option("--base", flags->base, "Folder of the model before tuning, or of its language model alone")
      ->type_name("DIR");
  command->add_option("--layers", flags->layers, "Layers to restore (docs/regions.md)")->required()->type_name("SPEC");
  flags->output.add_to(*command);
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(example("striate revert --model tuned --base vicuna-llava --layers top:8 --out reverted"));
  command->callback([flags, command, &run] {
    run.computes = true;
    run.action = [flags, command] { run_revert(*flags, *command); };
  });
}

}  // namespace striate::app

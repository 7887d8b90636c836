// striate revert: gives layers of a tuned model back what they were before tuning.
#include "striate/region/revert.h"

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/export_flags.h"
#include "apps/striate/model_flags.h"
#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/region/adapter_folder.h"
#include "striate/region/history.h"
#include "striate/region/layer_set.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;

struct RevertFlags {
  ModelFlags model;
  OutputFlags output;
  std::string base, layers;
  bool json = false;
};

const Placement kReference{at::kCPU, Compute::kFloat32};

nlohmann::json reverted_json(const RevertFlags& flags, const std::vector<std::int64_t>& layers, std::int64_t total) {
  nlohmann::json out = region_json(flags.layers, layers, total);
  if (!flags.base.empty()) out["base"] = fs::absolute(flags.base).lexically_normal().string();
  return out;
}

void print_result(const RevertFlags& flags, const std::vector<std::int64_t>& layers, const std::string& kind,
                  const std::optional<ExportCheck>& check) {
  if (flags.json) {
    const nlohmann::json out = {{"out", flags.output.out},
                                {"kind", kind},
                                {"reverted", layers},
                                {"check", check ? check->json() : nlohmann::json(nullptr)}};
    std::cout << out.dump(2) << std::endl;
    return;
  }
  std::cout << "reverted " << (layers.size() == 1 ? "layer " : "layers ") << layer_list_text(layers) << " ("
            << (kind == "adapter" ? "left out of the adapter" : "the base's weights, bit for bit") << ")\n";
  if (check) std::cout << "logits: " << check->text() << '\n';
  std::cout.flush();
}

// Layers of the adapter that stay, written as an adapter again.
void revert_adapter(const RevertFlags& flags, const ModelPaths& paths) {
  const Checkpoint source = open_checkpoint(paths);
  const AdapterFile adapter(*paths.adapter);
  const std::int64_t total = source.config.decoder.layers;
  const std::vector<std::int64_t> layers = parse_layer_set(flags.layers, total);
  AdapterOutOptions options;
  options.layers = adapter_reversion(adapter, layers);
  options.dtype = flags.output.options().dtype;
  options.history = model_history("striate revert", STRIATE_VERSION, source, {});
  options.history["reverted"] = reverted_json(flags, layers, total);
  AtomicFolder folder(free_destination(flags.output.out));
  write_adapter_folder(folder.path(), adapter, source.config.family, source.folder, options);
  std::optional<ExportCheck> check;
  if (!flags.output.no_verify) {
    const std::vector<ProbeInput> inputs = probe_inputs(source.config);
    const auto live = load_model(source, kReference);
    remove_adapters(*live, layers);
    ModelPaths written = paths;
    written.adapter = folder.path();
    const double rounding = options.dtype ? rounding_of(*options.dtype) : 0;
    check = check_export(inputs, probe_logits(*live, inputs), written, rounding, flags.output.out);
  }
  folder.commit();
  if (!flags.json) {
    std::cout << "wrote " << flags.output.out << ": an adapter on layers "
              << layer_list_text(AdapterFile(flags.output.out).layers()) << '\n';
  }
  print_result(flags, layers, "adapter", check);
}

void revert_model(const RevertFlags& flags, const ModelPaths& paths) {
  if (flags.base.empty()) {
    throw invalid_input("striate revert needs the model from before tuning",
                        "give it with --base DIR (its language model alone will do)");
  }
  const Checkpoint tuned = open_checkpoint(paths);
  ModelPaths base_paths;
  base_paths.model = flags.base;
  base_paths.vision_tower = paths.vision_tower;
  const Checkpoint base = open_checkpoint(base_paths);
  const std::int64_t total = tuned.config.decoder.layers;
  const std::vector<std::int64_t> layers = parse_layer_set(flags.layers, total);
  const ModelChange change = reversion(tuned, base, layers);
  FolderOptions options = flags.output.options();
  options.history = model_history("striate revert", STRIATE_VERSION, tuned, change);
  options.history["reverted"] = reverted_json(flags, layers, total);
  AtomicFolder folder(free_destination(flags.output.out));
  const FolderResult result = write_model_folder(folder.path(), tuned, change, options);
  std::optional<ExportCheck> check;
  if (!flags.output.no_verify) {
    const std::vector<ProbeInput> inputs = probe_inputs(tuned.config);
    const auto live = load_model(tuned, kReference);
    revert_layers(*live, base, change.from_donor);
    ModelPaths written;
    written.model = folder.path();
    check = check_export(inputs, probe_logits(*live, inputs), written, result.rounding, flags.output.out);
  }
  folder.commit();
  if (!flags.json) print_written(flags.output.out, tuned, result);
  print_result(flags, layers, "model", check);
}

void run_revert(const RevertFlags& flags) {
  free_destination(flags.output.out);
  ModelPaths paths = flags.model.paths();
  // A run's folder is the adapter itself; its base is then the model it sits on.
  if (paths.model && !paths.adapter && fs::exists(*paths.model / "adapter_config.json") &&
      !fs::exists(*paths.model / "config.json")) {
    paths.adapter = paths.model;
    paths.model = flags.base.empty() ? std::optional<fs::path>() : fs::path(flags.base);
    if (!paths.model) {
      throw invalid_input(cat(paths.adapter->string(), " is an adapter: the model it was tuned on is missing"),
                          "give it with --base DIR");
    }
  }
  paths.adapter ? revert_adapter(flags, paths) : revert_model(flags, paths);
}

}  // namespace

void add_revert(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<RevertFlags>();
  CLI::App* command = app.add_subcommand("revert", "Give layers back their weights from before tuning");
  flags->model.add_to(*command);
  command->add_option("--base", flags->base, "The model from before tuning, or its language model alone")
      ->type_name("DIR");
  command->add_option("--layers", flags->layers, "Which layers (docs/regions.md)")->required()->type_name("SPEC");
  flags->output.add_to(*command);
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(example("striate revert --model tuned --base vicuna-llava --layers top:8 --out reverted"));
  command->callback([flags, &run] {
    run.computes = true;
    run.action = [flags] { run_revert(*flags); };
  });
}

}  // namespace striate::app

// striate prune: removes the layers that matter least, outside the region that was taught to see.
#include <c10/core/ScalarType.h>

#include <cmath>
#include <iomanip>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/striate/command.h"
#include "apps/striate/prune_flags.h"
#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/region/adapter_folder.h"
#include "striate/region/history.h"
#include "striate/region/layer_set.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;

const Placement kReference{at::kCPU, Compute::kFloat32};
constexpr const char* kAdapterFolder = "adapter";  // inside --out, with --keep-adapter

struct Size {
  std::int64_t parameters = 0;
  std::uint64_t bytes = 0;
};

Size size_of(const Checkpoint& source, const ModelChange& change) {
  Size size;
  for (const PlannedTensor& tensor : planned_tensors(source, change)) {
    std::int64_t count = 1;
    for (const std::int64_t n : tensor.shape) count *= n;
    size.parameters += count;
    size.bytes += static_cast<std::uint64_t>(count) * c10::elementSize(tensor.dtype);
  }
  return size;
}

// Everything there is to say about one pruning.
struct Pruning {
  std::int64_t layers = 0;
  std::vector<std::int64_t> region;
  std::vector<PrunedLayer> removed;
  std::string scores;
  Size before, after;
  FolderResult written;
  std::optional<ExportCheck> check;
};

void choose(const PruneFlags& flags, const ModelPaths& paths, const Checkpoint& source, Pruning& pruning) {
  PruneRequest request;
  request.layers = pruning.layers;
  request.protected_layers = pruning.region;
  if (!flags.layers.empty()) {
    pruning.removed = listed_layers_to_prune(request, parse_layer_set(flags.layers, source.config.decoder));
    pruning.scores = "none: layers were listed";
    return;
  }
  const LayerChooser chooser = make_chooser(flags, source, pruning.region, flags.scores, *flags.remove, [&] {
    return std::shared_ptr<const Lvlm>(load_model(open_checkpoint(paths), flags.compute.placement()));
  });
  pruning.removed = chooser.choose(*flags.remove);
  pruning.scores = chooser.scores;
}

nlohmann::json removed_json(const std::vector<PrunedLayer>& removed) {
  nlohmann::json out = nlohmann::json::array();
  for (const PrunedLayer& p : removed) {
    out.push_back({{"layer", p.layer}, {"score", std::isfinite(p.score) ? nlohmann::json(p.score) : nullptr}});
  }
  return out;
}

nlohmann::json choice_json(const PruneFlags& flags, const Pruning& pruning) {
  return {{"region", flags.region == "none" ? nlohmann::json(nullptr)
                                            : region_json(flags.region, pruning.region, pruning.layers)},
          {"metric", flags.layers.empty() ? flags.metric : "list"},
          {"contiguous", flags.contiguous},
          {"iterative", flags.iterative},
          {"scores", pruning.scores},
          {"removed", removed_json(pruning.removed)}};
}

void write_adapter(const fs::path& folder, const PruneFlags& flags, const Checkpoint& source, const ModelChange& change,
                   nlohmann::json history) {
  AdapterOutOptions options;
  options.layers.emplace();
  for (std::size_t i = 0; i < change.keep.size(); ++i) {
    options.layers->emplace(change.keep[i], static_cast<std::int64_t>(i));
  }
  options.history = std::move(history);
  write_adapter_folder(folder, AdapterFile(*source.adapter), source.config.family, fs::absolute(flags.output.out),
                       options);
}

// Writes the model (and the adapter beside it), and holds it to the model pruned in memory.
void write(const PruneFlags& flags, const ModelPaths& paths, const Checkpoint& source, Pruning& pruning) {
  const std::vector<std::int64_t> removed = ascending_layers(pruning.removed);
  ModelChange change;
  change.keep = kept_layers(pruning.layers, removed);
  ModelPaths bare = paths;
  bare.adapter.reset();
  const Checkpoint base = flags.keep_adapter ? open_checkpoint(bare) : open_checkpoint(paths);
  pruning.before = size_of(base, {});
  pruning.after = size_of(base, change);
  FolderOptions options = flags.output.options();
  options.history = model_history("striate prune", STRIATE_VERSION, base, change);
  options.history["pruning"] = choice_json(flags, pruning);
  AtomicFolder folder(free_destination(flags.output.out));
  pruning.written = write_model_folder(folder.path(), base, change, options);
  ModelPaths written;
  written.model = folder.path();
  if (flags.keep_adapter) {
    written.adapter = folder.path() / kAdapterFolder;
    write_adapter(*written.adapter, flags, source, change,
                  model_history("striate prune", STRIATE_VERSION, source, change));
  }
  if (!flags.output.no_verify) {
    const Lvlm pruned = load_model(source, kReference)->without_layers(removed);
    const std::vector<ProbeInput> inputs = probe_inputs(pruned.config());
    pruning.check =
        check_export(inputs, probe_logits(pruned, inputs), written, pruning.written.rounding, flags.output.out);
  }
  folder.commit();
}

std::string size_text(std::int64_t layers, const Size& size) {
  return cat(layers, layers == 1 ? " layer, " : " layers, ", human_count(static_cast<std::uint64_t>(size.parameters)),
             " parameters, ", human_bytes(size.bytes));
}

void print_text(const PruneFlags& flags, const Checkpoint& source, const Pruning& p) {
  const std::vector<std::int64_t> removed = ascending_layers(p.removed);
  const std::vector<std::int64_t> kept = kept_layers(p.layers, removed);
  std::cout << "before   " << stripes(kept_layers(p.layers, {}), p.layers) << "  " << size_text(p.layers, p.before)
            << '\n';
  if (p.region.empty()) {
    std::cout << "region   none: any layer may go\n";
  } else {
    std::cout << "region   " << stripes(p.region, p.layers) << "  " << layer_list_text(p.region) << '\n';
  }
  std::cout << "after    " << stripes(kept, p.layers) << "  "
            << size_text(static_cast<std::int64_t>(kept.size()), p.after) << '\n'
            << "saved    " << human_count(static_cast<std::uint64_t>(p.before.parameters - p.after.parameters))
            << " parameters, " << human_bytes(p.before.bytes - p.after.bytes) << '\n'
            << "scores   " << p.scores << "\n\nremoved layer  " << (flags.layers.empty() ? flags.metric : "") << '\n';
  for (const PrunedLayer& layer : p.removed) {
    std::cout << std::setw(13) << layer.layer;
    if (std::isfinite(layer.score)) std::cout << "  " << std::setprecision(4) << layer.score;
    std::cout << '\n';
  }
  std::cout << '\n';
  print_written(flags.output.out, source, p.written);
  if (p.check) std::cout << "logits: " << p.check->text() << ", against the model pruned in memory\n";
  std::cout << "ask it with  striate chat --model " << flags.output.out;
  if (flags.keep_adapter) std::cout << " --adapter " << (fs::path(flags.output.out) / kAdapterFolder).string();
  std::cout << std::endl;
}

void print_json(const PruneFlags& flags, const Pruning& p) {
  nlohmann::json out = choice_json(flags, p);
  out["out"] = flags.output.out;
  if (flags.keep_adapter) out["adapter"] = (fs::path(flags.output.out) / kAdapterFolder).string();
  out["layers_before"] = p.layers;
  out["original"] = kept_layers(p.layers, ascending_layers(p.removed));
  out["parameters"] = {{"before", p.before.parameters}, {"after", p.after.parameters}};
  out["bytes"] = {{"before", p.before.bytes}, {"after", p.after.bytes}, {"written", p.written.bytes}};
  out["check"] = p.check ? p.check->json() : nlohmann::json(nullptr);
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

void check_flags(const PruneFlags& flags) {
  if (flags.layers.empty() == !flags.remove.has_value()) {
    throw invalid_input(flags.remove ? "--remove and --layers: which of them?" : "nothing to remove was named",
                        "give how many layers are to go: --remove N; or which: --layers LIST");
  }
  if (flags.remove && *flags.remove < 1) throw invalid_input(cat("--remove ", *flags.remove), "give 1 or more");
  if (flags.metric == "list" && flags.layers.empty()) {
    throw invalid_input("--metric list without a list", "give the layers that go: --layers LIST");
  }
  if (!flags.layers.empty() && (flags.contiguous || flags.iterative || !flags.scores.empty())) {
    throw invalid_input("--layers lists what goes; --scores, --contiguous and --iterative choose it",
                        "leave out one or the other");
  }
  if (flags.keep_adapter && flags.model.adapter.empty()) {
    throw invalid_input("--keep-adapter without an adapter", "give it: --adapter DIR");
  }
  if (flags.output.out.empty()) throw invalid_input("no --out folder was given", "give the folder to make: --out DIR");
}

void run_prune(const PruneFlags& flags) {
  if (!flags.sweep.empty()) return run_prune_sweep(flags);
  check_flags(flags);
  const ModelPaths paths = flags.model.paths();
  const Checkpoint source = open_checkpoint(paths);
  free_destination(flags.output.out);  // refused before any scoring
  Pruning pruning;
  pruning.layers = source.config.decoder.layers;
  pruning.region = region_layers(flags, paths, source);
  choose(flags, paths, source, pruning);
  write(flags, paths, source, pruning);
  flags.json ? print_json(flags, pruning) : print_text(flags, source, pruning);
}

void add_choice(CLI::App& c, PruneFlags& f) {
  const std::string group = "What goes";
  c.add_option("--region", f.region,
               "Layers that stay: a layer set; from-run: the region recorded for the model or adapter; none")
      ->type_name("SPEC")
      ->capture_default_str()
      ->group(group);
  c.add_option("--remove", f.remove, "How many layers go")->type_name("N")->group(group);
  c.add_option("--layers", f.layers, "Which layers go, instead of choosing them by scores")
      ->type_name("SPEC")
      ->group(group);
  c.add_option("--metric", f.metric, "Score to choose by, lowest first: angular, bi, bi_multimodal, ...")
      ->capture_default_str()
      ->group(group);
  c.add_flag("--contiguous", f.contiguous, "One block of neighbouring layers, by its angular distance")->group(group);
  c.add_option("--scores", f.scores, "A file of striate score")->type_name("FILE")->group(group);
  c.add_option("--data", f.data, "Score on these samples instead: LLaVA JSON")->type_name("FILE")->group(group);
  c.add_option("--images", f.images, "The folder the samples' pictures are in")->type_name("DIR")->group(group);
  c.add_option("--samples", f.samples, "How many of them; 0: all")->capture_default_str()->group(group);
  c.add_option("--seed", f.seed, "Of the draw of these samples")->capture_default_str()->group(group);
  c.add_flag("--iterative", f.iterative, "Score anew after each removal (with --data)")->group(group);
  c.add_flag("--keep-adapter", f.keep_adapter, "Carry the adapter over to OUT/adapter instead of merging it")
      ->group(group);
}

void add_sweep(CLI::App& c, PruneFlags& f) {
  const std::string group = "Sweep";
  c.add_option("--sweep", f.sweep, "Measure what removing A to B layers costs, inside and outside the region: 0..4")
      ->type_name("A..B")
      ->group(group);
  c.add_option("--eval-data", f.eval_data, "Held-out samples to measure on")->type_name("FILE")->group(group);
  c.add_option("--eval-images", f.eval_images, "The folder their pictures are in; default: --images")
      ->type_name("DIR")
      ->group(group);
  c.add_option("--eval-samples", f.eval_samples, "How many of them; 0: all")->capture_default_str()->group(group);
  c.add_option("--eval-max-tokens", f.eval_max_tokens, "Longest answer")->capture_default_str()->group(group);
  c.add_option("--max-tokens", f.max_tokens, "Longer samples are cut")->capture_default_str()->group(group);
  c.add_option("--tokens-per-stream", f.tokens_per_stream, "Tokens that pass through the model at once, at most")
      ->capture_default_str()
      ->group(group);
  c.add_option("--baseline", f.baseline, "Compare with this model (all of its layers tuned), pruned anywhere")
      ->type_name("DIR")
      ->group(group);
  c.add_option("--baseline-adapter", f.baseline_adapter, "Its adapter; without --baseline: on --model")
      ->type_name("DIR")
      ->group(group);
  c.add_option("--baseline-scores", f.baseline_scores, "Its scores, where --data does not measure them")
      ->type_name("FILE")
      ->group(group);
  c.add_option("--report", f.report, "Write the curves as an HTML page")->type_name("FILE")->group(group);
}

}  // namespace

void add_prune(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<PruneFlags>();
  CLI::App* command = app.add_subcommand("prune", "Remove layers outside the region, and check what is written");
  flags->model.add_to(*command);
  add_choice(*command, *flags);
  flags->output.add_to(*command);
  command->get_option("--out")->required(false);
  add_sweep(*command, *flags);
  command->add_option("--device", flags->compute.device, "Where scores and sweeps are computed: auto, cpu, cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command->add_option("--precision", flags->compute.precision, "And in what: auto, fp32, bf16")
      ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(
      example("striate prune --model llava-1.5-7b-hf --adapter tuned --region from-run --remove 4 --metric angular "
              "--scores scores.json --out pruned"));
  command->callback([flags, &run] {
    run.computes = true;
    run.action = [flags] {
      flags->compute.threads = flags->output.threads;
      run_prune(*flags);
    };
  });
}

}  // namespace striate::app

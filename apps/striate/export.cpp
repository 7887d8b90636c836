// striate export: a model for other software, held to the model it came from.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/export_flags.h"
#include "apps/striate/export_gguf.h"
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

struct ExportFlags {
  ModelFlags model;
  OutputFlags output;
  GgufFlags gguf;
  std::string format = "hf";
  bool json = false;
};

void print_json(const ExportFlags& flags, const Checkpoint& source, nlohmann::json more,
                const std::optional<ExportCheck>& check) {
  more["out"] = flags.output.out;
  more["format"] = flags.format;
  more["family"] = family_name(source.config.family);
  more["check"] = check ? check->json() : nlohmann::json(nullptr);
  std::cout << more.dump(2) << std::endl;
}

// Logits of the result at `paths` against the source's, unless that was not asked for.
std::optional<ExportCheck> verify(const ExportFlags& flags, const Checkpoint& source, const ModelPaths& paths,
                                  double rounding) {
  if (flags.output.no_verify) return std::nullopt;
  const std::vector<ProbeInput> inputs = probe_inputs(source.config);
  return check_export(inputs, probe_logits(source, inputs), paths, rounding, flags.output.out);
}

void print_check(const std::optional<ExportCheck>& check) {
  if (check) std::cout << "logits: " << check->text() << '\n';
  std::cout.flush();
}

void export_model(const ExportFlags& flags) {
  const fs::path out = free_destination(flags.output.out);
  const Checkpoint source = open_checkpoint(flags.model.paths());
  FolderOptions options = flags.output.options();
  options.history = model_history("striate export", STRIATE_VERSION, source, {});
  AtomicFolder folder(out);
  const FolderResult result = write_model_folder(folder.path(), source, {}, options);
  ModelPaths written;
  written.model = folder.path();
  const std::optional<ExportCheck> check = verify(flags, source, written, result.rounding);
  folder.commit();
  if (flags.json) {
    return print_json(flags, source,
                      {{"layers", source.config.decoder.layers},
                       {"tensors", result.tensors},
                       {"bytes", result.bytes},
                       {"weight_files", result.weight_files},
                       {"change_kept", result.change_kept ? nlohmann::json(*result.change_kept) : nullptr}},
                      check);
  }
  print_written(flags.output.out, source, result);
  print_check(check);
}

void export_adapter(const ExportFlags& flags) {
  const fs::path out = free_destination(flags.output.out);
  ModelPaths paths = flags.model.paths();
  if (!paths.adapter) {
    throw invalid_input("--format peft writes an adapter, and none was given",
                        "give one with --adapter DIR, or write the model: --format hf");
  }
  const Checkpoint source = open_checkpoint(paths);
  const AdapterFile adapter(*paths.adapter);
  AdapterOutOptions options;
  options.dtype = flags.output.options().dtype;
  options.history = model_history("striate export", STRIATE_VERSION, source, {});
  AtomicFolder folder(out);
  write_adapter_folder(folder.path(), adapter, source.config.family, source.folder, options);
  paths.adapter = folder.path();
  const double rounding = options.dtype ? rounding_of(*options.dtype) : 0;
  const std::optional<ExportCheck> check = verify(flags, source, paths, rounding);
  folder.commit();
  if (flags.json) {
    return print_json(flags, source, {{"layers", adapter.layers()}, {"matrices", 2 * adapter.pairs().size()}}, check);
  }
  std::cout << "wrote " << flags.output.out << ": an adapter of rank " << adapter.settings().rank << " on layers "
            << layer_list_text(adapter.layers()) << ", " << 2 * adapter.pairs().size() << " matrices"
            << (adapter.beside() ? ", and what was trained beside it\n" : "\n");
  print_check(check);
}

void run_export(const ExportFlags& flags) {
  if (flags.format == "hf") return export_model(flags);
  if (flags.format == "peft") return export_adapter(flags);
  if (flags.format == "gguf") return export_gguf(flags.model, flags.output, flags.gguf, flags.json);
  throw invalid_input(cat("--format ", flags.format, ": unknown format"), "known: hf, peft, gguf");
}

}  // namespace

void add_export(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = app.add_subcommand("export", "Write a model for other software, and check it");
  flags->model.add_to(*command);
  flags->output.add_to(*command);
  command
      ->add_option("--format", flags->format,
                   "hf: a Hugging Face folder, adapters merged; peft: the adapter alone; gguf: files for llama.cpp")
      ->capture_default_str();
  flags->gguf.add_to(*command);
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(example("striate export --model llava-1.5-7b-hf --adapter runs/tuned --out merged"));
  command->callback([flags, &run] {
    run.computes = true;
    run.action = [flags] { run_export(*flags); };
  });
}

}  // namespace striate::app

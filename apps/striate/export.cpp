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
#include "striate/region/history.h"

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

// fp32 sums on the CPU: the check is about weights, not about the machine's best type.
const Placement kReference{at::kCPU, Compute::kFloat32};

std::vector<at::Tensor> logits_of(const Checkpoint& checkpoint, const std::vector<ProbeInput>& inputs) {
  return probe_logits(*load_model(checkpoint, kReference), inputs);
}

struct Check {
  LogitsDifference difference;
  double tolerance;
};

// The result at `paths` against the source. Throws when they differ by more than rounding explains.
Check verify(const Checkpoint& source, const ModelPaths& paths, double rounding, const std::string& out) {
  const std::vector<ProbeInput> inputs = probe_inputs(source.config);
  const std::vector<at::Tensor> reference = logits_of(source, inputs);
  const std::vector<at::Tensor> written = logits_of(open_checkpoint(paths), inputs);
  const Check check{compare_logits(inputs, reference, written),
                    logits_tolerance(rounding, source.config.decoder.layers)};
  require_same_logits(check.difference, check.tolerance, out);
  return check;
}

void print_model(const ExportFlags& flags, const Checkpoint& source, const FolderResult& result,
                 const std::optional<Check>& check) {
  if (flags.json) {
    nlohmann::json out = {{"out", flags.output.out},
                          {"format", flags.format},
                          {"family", family_name(source.config.family)},
                          {"layers", source.config.decoder.layers},
                          {"tensors", result.tensors},
                          {"bytes", result.bytes},
                          {"weight_files", result.weight_files},
                          {"change_kept", result.change_kept ? nlohmann::json(*result.change_kept) : nullptr},
                          {"check", check ? difference_json(check->difference, check->tolerance) : nullptr}};
    std::cout << out.dump(2) << std::endl;
    return;
  }
  std::cout << "wrote " << flags.output.out << ": " << family_name(source.config.family) << ", " << result.tensors
            << " tensors, " << human_bytes(result.bytes) << " in " << result.weight_files
            << (result.weight_files == 1 ? " file\n" : " files\n");
  constexpr double kWorthSaying = 0.98;
  if (result.change_kept && *result.change_kept < kWorthSaying) {
    std::cout << "note: rounding left " << static_cast<int>(100 * *result.change_kept)
              << "% of the adapter's change of weights; --dtype fp32 keeps all of it\n";
  }
  if (check) std::cout << "logits: " << difference_text(check->difference, check->tolerance) << '\n';
  std::cout.flush();
}

void export_model(const ExportFlags& flags) {
  const Checkpoint source = open_checkpoint(flags.model.paths());
  FolderOptions options = flags.output.options();
  options.history = model_history("striate export", STRIATE_VERSION, source, {});
  AtomicFolder folder(free_destination(flags.output.out));
  const FolderResult result = write_model_folder(folder.path(), source, {}, options);
  std::optional<Check> check;
  if (!flags.output.no_verify) {
    ModelPaths paths;
    paths.model = folder.path();
    check = verify(source, paths, result.rounding, flags.output.out);
  }
  folder.commit();
  print_model(flags, source, result, check);
}

void run_export(const ExportFlags& flags) {
  if (flags.format == "hf") return export_model(flags);
  if (flags.format == "gguf") return export_gguf(flags.model, flags.output, flags.gguf, flags.json);
  throw invalid_input(cat("--format ", flags.format, ": unknown format"), "known: hf, gguf");
}

}  // namespace

void add_export(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = app.add_subcommand("export", "Write a model for other software, and check it");
  flags->model.add_to(*command);
  flags->output.add_to(*command);
  command
      ->add_option("--format", flags->format,
                   "hf: a Hugging Face folder; gguf: files for llama.cpp. Adapters are merged")
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

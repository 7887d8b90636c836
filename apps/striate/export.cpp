// striate export: a model for other software, held to the model it came from.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/striate/command.h"
#include "apps/striate/export_flags.h"
#include "apps/striate/export_gguf.h"
#include "apps/striate/model_flags.h"
#include "apps/striate/unread_flags.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/edit/export_model.h"
#include "striate/model/layer_set.h"

namespace striate::app {
namespace {

struct ExportFlags {
  ModelFlags model;
  OutputFlags output;
  GgufFlags gguf;
  std::string format = "hf";
  bool json = false;
};

void print_json(const ExportFlags& flags, Family family, nlohmann::json more, const std::optional<ExportCheck>& check) {
  more["out"] = flags.output.out;
  more["format"] = flags.format;
  more["family"] = family_name(family);
  more["check"] = check_json(check);
  std::cout << more.dump(2) << std::endl;
}

void print_check(const std::optional<ExportCheck>& check) {
  if (check) std::cout << "logits: " << check_text(*check) << '\n';
  std::cout.flush();
}

void run_hf(const ExportFlags& flags, const ExportRequest& request) {
  const ModelExport result = export_model(request);
  const FolderResult& written = result.written;
  if (flags.json) {
    return print_json(flags, result.family,
                      {{"layers", result.layers},
                       {"tensors", written.tensors},
                       {"bytes", written.bytes},
                       {"weight_files", written.weight_files},
                       {"change_kept", written.change_kept ? nlohmann::json(*written.change_kept) : nullptr}},
                      result.check);
  }
  print_written(flags.output.out, result.family, written);
  print_check(result.check);
}

void run_peft(const ExportFlags& flags, const ExportRequest& request) {
  const AdapterExport result = export_adapter(request);
  if (flags.json) {
    return print_json(flags, result.family, {{"layers", result.layers}, {"matrices", result.matrices}}, result.check);
  }
  std::cout << "wrote " << flags.output.out << ": an adapter of rank " << result.rank << " on "
            << named_layers(result.layers) << ", " << result.matrices << " matrices"
            << (result.beside ? ", and the weights that were trained beside it\n" : "\n");
  print_check(result.check);
}

void refuse_flags_of_other_formats(const ExportFlags& flags, const CLI::App& command) {
  const std::string why = cat("does not apply to --format ", flags.format);
  if (flags.format != "gguf") {
    refuse_unread(command, {"--gguf-type", "--mmproj-type", "--no-mmproj"}, why,
                  "add --format gguf to write GGUF files, or leave it out");
  } else if (flags.gguf.no_vision) {
    refuse_unread(command, {"--mmproj-type"}, "does not apply to --no-mmproj", "give one of them");
  }
  if (flags.format != "hf") {
    refuse_unread(command, {"--max-shard-size"}, why, "leave it out: only --format hf divides weights into files");
  }
}

void run_export(const ExportFlags& flags, const CLI::App& command) {
  const std::string& format = flags.format;
  if (format != "hf" && format != "peft" && format != "gguf") {
    throw invalid_input(cat("--format ", format, ": unknown format"), "known: hf, peft, gguf");
  }
  refuse_flags_of_other_formats(flags, command);
  if (format == "gguf") return run_gguf_export(flags.model, flags.output, flags.gguf, flags.json);
  const ExportRequest request{flags.model.paths(), flags.output.request()};
  format == "hf" ? run_hf(flags, request) : run_peft(flags, request);
}

}  // namespace

void add_export(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = app.add_subcommand("export", "Write a model for other software, and check it");
  flags->model.add_to(*command);
  flags->output.add_to(*command);
  command
      ->add_option("--format", flags->format,
                   "Output format: hf (a Hugging Face folder, adapters merged), peft (only the adapter) or gguf (files "
                   "for llama.cpp)")
      ->capture_default_str();
  flags->gguf.add_to(*command);
  command->add_flag("--json", flags->json, "Print one JSON object");
  command->footer(example("striate export --model llava-1.5-7b-hf --adapter runs/tuned --out merged"));
  command->callback([flags, command, &run] {
    run.computes = true;
    run.action = [flags, command] { run_export(*flags, *command); };
  });
}

}  // namespace striate::app

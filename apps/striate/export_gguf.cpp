#include "apps/striate/export_gguf.h"

#include <ATen/Parallel.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/region/gguf_check.h"
#include "striate/region/history.h"

namespace striate::app {
namespace {

namespace fs = std::filesystem;

struct Check {
  GgufTensorCheck tensors;
  ExportCheck logits;
};

GgufOptions options_of(const OutputFlags& output, const GgufFlags& flags, const Checkpoint& source,
                       const fs::path& out) {
  if (output.dtype != "keep") {
    throw invalid_input("--dtype is for Hugging Face folders", "give --gguf-type f32, f16, bf16 or q8_0");
  }
  if (output.threads > 0) at::set_num_threads(output.threads);
  GgufOptions options;
  options.type = parse_gguf_type(flags.type, "--gguf-type");
  if (!flags.vision_type.empty()) options.vision_type = parse_gguf_type(flags.vision_type, "--mmproj-type");
  options.with_vision = !flags.no_vision;
  options.name = out.filename().string();
  const std::int64_t layers = source.config.decoder.layers;
  const LayerOrigin origin = layer_origin(earlier_history(source.folder), layers, source.folder.string());
  if (origin.depth != layers) options.original_layers = origin.original;
  options.progress = [bar = std::make_shared<WritingProgress>()](std::uint64_t done, std::uint64_t total) {
    (*bar)(done, total);
  };
  return options;
}

// The files opened again, against their source. Throws when they differ by more than rounding.
Check check_files(const GgufExport& exported, const Checkpoint& source, const std::string& out) {
  Check check;
  check.tensors = check_gguf_tensors(exported, source, {});
  require_same_tensors(check.tensors, out);
  const std::vector<ProbeInput> inputs = gguf_inputs(exported, source.config);
  check.logits.difference =
      compare_logits(inputs, probe_logits(source, inputs), gguf_logits(exported, source.config, inputs));
  check.logits.tolerance = gguf_tolerance(exported, source.config, check.tensors);
  require_same_logits(check.logits.difference, check.logits.tolerance, out);
  return check;
}

nlohmann::json file_json(const GgufFileSummary& file, const fs::path& out) {
  return {{"path", (out / file.path.filename()).string()}, {"tensors", file.tensors}, {"bytes", file.bytes}};
}

void print_json(const GgufExport& exported, const Checkpoint& source, const fs::path& out,
                const std::optional<Check>& check) {
  nlohmann::json report = {{"out", out.string()},
                           {"format", "gguf"},
                           {"family", family_name(source.config.family)},
                           {"layers", source.config.decoder.layers},
                           {"text", file_json(exported.text, out)},
                           {"mmproj", exported.vision ? file_json(*exported.vision, out) : nlohmann::json()},
                           {"check", nullptr}};
  if (check) {
    report["check"] = check->logits.json();
    report["check"]["tensors"] = check->tensors.tensors;
    report["check"]["half_steps"] = check->tensors.half_steps;
    report["check"]["tensor"] = check->tensors.tensor;
  }
  std::cout << report.dump(2) << std::endl;
}

void print_text(const GgufExport& exported, const fs::path& out, const std::optional<Check>& check) {
  const auto print = [&](const GgufFileSummary& file) {
    std::cout << "wrote " << (out / file.path.filename()).string() << ": " << file.tensors << " tensors, "
              << human_bytes(file.bytes) << '\n';
  };
  print(exported.text);
  if (exported.vision) print(*exported.vision);
  if (!check) return;
  std::cout << "tensors: " << check->tensors.tensors << " read back, ";
  if (check->tensors.half_steps == 0) {
    std::cout << "all equal\n";
  } else {
    std::cout << "largest difference " << check->tensors.half_steps << " of what rounding allows ("
              << check->tensors.tensor << ")\n";
  }
  std::cout << "logits: " << check->logits.text() << std::endl;
}

}  // namespace

void GgufFlags::add_to(CLI::App& command) {
  const std::string group = "GGUF";
  command.add_option("--gguf-type", type, "Type of the matrices: f32, f16, bf16 or q8_0")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--mmproj-type", vision_type, "Of vision tower and projector (default: the same; f16 beside q8_0)")
      ->group(group);
  command.add_flag("--no-mmproj", no_vision, "The language model alone")->group(group);
}

void export_gguf(const ModelFlags& model, const OutputFlags& output, const GgufFlags& flags, bool json) {
  const Checkpoint source = open_checkpoint(model.paths());
  const fs::path out = free_destination(output.out);
  const GgufOptions options = options_of(output, flags, source, out);
  AtomicFolder folder(out);
  const GgufExport exported = write_gguf(folder.path(), source, {}, options);
  std::optional<Check> check;
  if (!output.no_verify) check = check_files(exported, source, output.out);
  folder.commit();
  if (json) {
    print_json(exported, source, output.out, check);
  } else {
    print_text(exported, output.out, check);
  }
}

}  // namespace striate::app

#include "apps/striate/export_gguf.h"

#include <ATen/Parallel.h>

#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/gguf/export_gguf.h"

namespace striate::app {
namespace {

GgufExportRequest request_of(const ModelFlags& model, const OutputFlags& output, const GgufFlags& flags) {
  if (output.dtype != "keep") {
    throw invalid_input("--dtype does not apply to --format gguf", "give --gguf-type f32, f16, bf16 or q8_0");
  }
  if (output.threads > 0) at::set_num_threads(output.threads);
  GgufExportRequest request;
  request.model = model.paths();
  request.out = output.out;
  request.type = parse_gguf_type(flags.type, "--gguf-type");
  if (!flags.vision_type.empty()) request.vision_type = parse_gguf_type(flags.vision_type, "--mmproj-type");
  request.with_vision = !flags.no_vision;
  request.verify = !output.no_verify;
  request.progress = [bar = std::make_shared<WritingProgress>()](std::uint64_t done, std::uint64_t total) {
    (*bar)(done, total);
  };
  return request;
}

nlohmann::json file_json(const GgufFileSummary& file) {
  return {{"path", file.path.string()}, {"tensors", file.tensors}, {"bytes", file.bytes}};
}

void print_json(const GgufExportResult& result, const std::string& out) {
  nlohmann::json report = {{"out", out},
                           {"format", "gguf"},
                           {"family", family_name(result.family)},
                           {"layers", result.layers},
                           {"text", file_json(result.files.text)},
                           {"mmproj", result.files.vision ? file_json(*result.files.vision) : nlohmann::json()},
                           {"check", nullptr}};
  if (result.check) {
    report["check"] = check_json(result.check->logits);
    report["check"]["tensors"] = result.check->tensors.tensors;
    report["check"]["half_steps"] = result.check->tensors.half_steps;
    report["check"]["tensor"] = result.check->tensors.tensor;
  }
  std::cout << report.dump(2) << std::endl;
}

void print_text(const GgufExportResult& result) {
  const auto print = [](const GgufFileSummary& file) {
    std::cout << "wrote " << file.path.string() << ": " << counted(file.tensors, "tensor") << ", "
              << human_bytes(file.bytes) << '\n';
  };
  print(result.files.text);
  if (result.files.vision) print(*result.files.vision);
  if (!result.check) return;
  const GgufTensorCheck& tensors = result.check->tensors;
  std::cout << "tensors: " << tensors.tensors << " read back, ";
  if (tensors.half_steps == 0) {
    std::cout << "all equal\n";
  } else {
    std::cout << "largest difference " << tensors.half_steps << " of what rounding allows (" << tensors.tensor << ")\n";
  }
  std::cout << "logits: " << check_text(result.check->logits) << std::endl;
}

}  // namespace

void GgufFlags::add_to(CLI::App& command) {
  const std::string group = "GGUF";
  command.add_option("--gguf-type", type, "Data type of the matrices: f32, f16, bf16 or q8_0")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--mmproj-type", vision_type,
                  "Data type of vision tower and projector; default: the --gguf-type, f16 with q8_0")
      ->group(group);
  command.add_flag("--no-mmproj", no_vision, "Write only the language model")->group(group);
}

void run_gguf_export(const ModelFlags& model, const OutputFlags& output, const GgufFlags& flags, bool json) {
  const GgufExportResult result = export_gguf(request_of(model, output, flags));
  json ? print_json(result, output.out) : print_text(result);
}

}  // namespace striate::app

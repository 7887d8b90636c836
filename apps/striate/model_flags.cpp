#include "apps/striate/model_flags.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "apps/striate/flag_ranges.h"
#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/cuda/compute_capability.h"
#include "striate/tensor/matrix.h"

namespace striate::app {
namespace {

std::optional<std::filesystem::path> existing(const std::string& flag, const std::string& value) {
  if (value.empty()) return std::nullopt;
  return existing_path(flag, value);
}

// The flags that name a model, or a part of one.
constexpr std::array<std::string_view, 11> kModelFlags = {
    "--model",           "--llm",  "--vision-tower", "--projector",        "--adapter",  "--teacher",
    "--teacher-adapter", "--base", "--baseline",     "--baseline-adapter", "--tokenizer"};

// "org/name", as models are called on the Hugging Face Hub, where there is no folder "org" that it could be a slip in.
bool may_be_hub_id(const std::string& path) {
  constexpr std::string_view kCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  const std::vector<std::string> parts = split(path, '/');
  const bool two_names =
      parts.size() == 2 && std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
        return !part.empty() && part.front() != '.' && part.find_first_not_of(kCharacters) == std::string::npos;
      });
  return two_names && !path_exists(parts.front());
}

// What cards before Ampere are used with elsewhere.
CLI::Validator no_fp16() {
  return {[](std::string& value) {
            return value != "fp16"
                       ? std::string()
                       : "fp16 is not computed in: take fp32 on a GPU without bf16 (before Ampere), else bf16";
          },
          ""};
}

}  // namespace

Compute chosen_compute(const std::string& precision, at::Device device, std::optional<int> capability) {
  constexpr int kFirstWithBf16 = 80;
  const bool lacks_bf16 = device.is_cuda() && capability.value_or(kFirstWithBf16) < kFirstWithBf16;
  if (precision == "fp32" || (precision == "auto" && lacks_bf16)) return Compute::kFloat32;
  if (precision == "auto") return best_compute(device);
  if (lacks_bf16) {
    throw invalid_input(cat("--precision bf16: this GPU (compute capability ", *capability / 10, ".", *capability % 10,
                            ") has no units for bf16, which Ampere (8.0) brought"),
                        "use --precision fp32, which auto takes here; fp16 is not built");
  }
  return Compute::kBFloat16;
}

std::filesystem::path existing_path(const std::string& flag, const std::string& path) {
  if (path.empty() || path_exists(path)) return path;
  std::string hint = "check the path";
  const bool names_model = std::find(kModelFlags.begin(), kModelFlags.end(), flag) != kModelFlags.end();
  if (names_model && may_be_hub_id(path)) {
    const std::string name = path.substr(path.find('/') + 1);
    hint = cat("Striate opens local folders; download a model of the Hugging Face Hub with: hf download ", path,
               " --local-dir ", name, " (before 2025: huggingface-cli download ...); then give ", flag, " ", name);
  }
  throw invalid_input(cat(flag, " ", path, ": no such file or folder"), hint);
}

void ModelFlags::add_to(CLI::App& command) {
  command.add_option("--model", model, "Folder of a Hugging Face model")->type_name("DIR");
  command.add_option("--llm", llm, "Folder of a language model, with --vision-tower and --projector")->type_name("DIR");
  command.add_option("--vision-tower", vision_tower, "Folder of a vision tower (CLIP or SigLIP)")->type_name("DIR");
  command.add_option("--projector", projector, "Projector file: mm_projector.bin or .safetensors")->type_name("FILE");
  command.add_option("--adapter", adapter, "Folder of a LoRA adapter, as PEFT saves it")->type_name("DIR");
  command
      .add_option("--image-aspect", image_aspect,
                  "Pad pictures to a square, or crop them; default: as in training, otherwise as the model's "
                  "configuration says")
      ->check(CLI::IsMember({"pad", "crop"}));
}

ModelPaths ModelFlags::paths() const {
  ModelPaths paths{existing("--model", model), existing("--llm", llm), existing("--vision-tower", vision_tower),
                   existing("--projector", projector), existing("--adapter", adapter)};
  if (!image_aspect.empty()) paths.pad_to_square = image_aspect == "pad";
  return paths;
}

void ComputeFlags::add_to(CLI::App& command) {
  command.add_option("--device", device, "Device to compute on: auto, cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command
      .add_option("--precision", precision,
                  "Precision of the computation: auto (the best of this machine), fp32 or bf16")
      ->check(no_fp16())
      ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
      ->capture_default_str();
  command.add_option("--threads", threads, "Number of CPU threads; 0: one per core")
      ->check(whole_number(0, kMostThreads))
      ->capture_default_str();
}

Placement ComputeFlags::placement() const {
  if (threads > 0) at::set_num_threads(threads);
  const bool has_cuda = at::hasCUDA();
  if (device == "cuda" && !has_cuda) {
    throw invalid_input("--device cuda: there is no CUDA device, or this build of LibTorch does not support CUDA",
                        "use --device cpu");
  }
  Placement placement;
  placement.device = device == "cpu" || !has_cuda ? at::Device(at::kCPU) : at::Device(at::kCUDA, 0);
  const bool on_gpu = placement.device.is_cuda();
  placement.compute =
      chosen_compute(precision, placement.device, on_gpu ? cuda::compute_capability(0) : std::optional<int>());
  at::globalContext().setAllowTF32CuBLAS(precision != "fp32");
  at::globalContext().setAllowTF32CuDNN(precision != "fp32");
  return placement;
}

Placement ComputeFlags::placement(const Ranks& ranks) const {
  if (threads == 0 && ranks.local_size > 1) {
    const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    at::set_num_threads(std::max(1, cores / ranks.local_size));
  }
  Placement placement = this->placement();
  if (placement.device.is_cuda()) {
    placement.device = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(ranks.local_rank));
  }
  return placement;
}

}  // namespace striate::app

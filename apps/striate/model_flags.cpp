#include "apps/striate/model_flags.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "striate/base/error.h"

namespace striate::app {
namespace {

std::optional<std::filesystem::path> existing(const std::string& flag, const std::string& value) {
  if (value.empty()) return std::nullopt;
  return existing_path(flag, value);
}

}  // namespace

std::filesystem::path existing_path(const std::string& flag, const std::string& path) {
  if (!path.empty() && !std::filesystem::exists(path)) {
    throw invalid_input(flag + " " + path + ": no such file or folder", "check the path");
  }
  return path;
}

void ModelFlags::add_to(CLI::App& command) {
  command.add_option("--model", model, "A Hugging Face model folder")->type_name("DIR");
  command.add_option("--llm", llm, "A language model's folder, with --vision-tower and --projector")->type_name("DIR");
  command.add_option("--vision-tower", vision_tower, "A vision tower's folder (CLIP or SigLIP)")->type_name("DIR");
  command.add_option("--projector", projector, "A projector: mm_projector.bin or .safetensors")->type_name("FILE");
  command.add_option("--adapter", adapter, "A LoRA adapter's folder, as PEFT saves it")->type_name("DIR");
}

ModelPaths ModelFlags::paths() const {
  return {existing("--model", model), existing("--llm", llm), existing("--vision-tower", vision_tower),
          existing("--projector", projector), existing("--adapter", adapter)};
}

void ComputeFlags::add_to(CLI::App& command) {
  command.add_option("--device", device, "Where to compute: auto, cpu, cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  command.add_option("--precision", precision, "What to compute in: auto (the machine's best), fp32, bf16")
      ->check(CLI::IsMember({"auto", "fp32", "bf16"}))
      ->capture_default_str();
  command.add_option("--threads", threads, "CPU threads; 0: as many as there are cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

Placement ComputeFlags::placement() const {
  if (threads > 0) at::set_num_threads(threads);
  const bool has_cuda = at::hasCUDA();
  if (device == "cuda" && !has_cuda) {
    throw invalid_input("--device cuda: there is no CUDA device, or this build of LibTorch has none",
                        "use --device cpu");
  }
  Placement placement;
  placement.device = device == "cpu" || !has_cuda ? at::Device(at::kCPU) : at::Device(at::kCUDA, 0);
  placement.compute = best_compute(placement.device);
  if (precision == "fp32") placement.compute = Compute::kFloat32;
  if (precision == "bf16") placement.compute = Compute::kBFloat16;
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

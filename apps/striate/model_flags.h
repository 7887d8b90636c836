// The flags of every command that opens a model.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "striate/model/load.h"
#include "striate/ranks/ranks.h"

namespace striate::app {

// --model, or --llm with --vision-tower and --projector; --adapter on top; --image-aspect.
struct ModelFlags {
  std::string model, llm, vision_tower, projector, adapter, image_aspect;

  void add_to(CLI::App& command);
  // Throws InvalidInput for a path that does not exist.
  ModelPaths paths() const;
};

// --device, --precision, --threads.
struct ComputeFlags {
  std::string device = "auto";
  std::string precision = "auto";
  int threads = 0;

  void add_to(CLI::App& command);
  // Where and in what to compute; sets the number of threads, and whether CUDA's products of fp32 may round their
  // factors to TF32: they may unless fp32 is asked for by name. Throws InvalidInput when there is no such device.
  Placement placement() const;
  // The same for one of several processes: ranks of one machine share its cores, unless they were given a number of
  // threads, and take a GPU each.
  Placement placement(const Ranks& ranks) const;
};

// The type for `precision` (auto, fp32, bf16) on a device; `capability` is a GPU's (75 for 7.5), absent where it is not
// known. Throws InvalidInput for bf16 on a GPU that has no units for it.
Compute chosen_compute(const std::string& precision, at::Device device, std::optional<int> capability);

// `path`, which may be empty. Throws InvalidInput, naming the flag, where there is no such file or folder; for what
// looks like a name on the Hugging Face Hub the hint says how to download it.
std::filesystem::path existing_path(const std::string& flag, const std::string& path);

}  // namespace striate::app

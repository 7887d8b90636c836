// Small checkpoints of every family on disk, written as published ones are, and adapters for them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "striate/model/init_model.h"
#include "striate/model/load.h"

namespace striate::test {

struct SmallCheckpoint {
  std::string arch = "llava-1.5-7b";
  Layout layout = Layout::kHf;
  std::int64_t layers = 5;
  at::ScalarType dtype = at::kFloat;
  std::uint64_t seed = 5;
  std::int64_t vocab = 128;
};

// The four published families.
std::vector<SmallCheckpoint> every_family();
// Such as "llava_1_5_7b_hf": what a parameterised test is called after it.
std::string family_name(const SmallCheckpoint& shape);
inline const auto kFamilyName = [](const auto& info) { return family_name(info.param); };
// Hidden 32, 4 heads; a tower of 28 pixels. Makes the folder.
void make_checkpoint(const std::filesystem::path& folder, const SmallCheckpoint& shape = {});
Checkpoint open_small(const std::filesystem::path& folder,
                      const std::optional<std::filesystem::path>& adapter = std::nullopt);

// A random adapter of rank 3 and alpha 6 on every linear of `layers`, in the authors' naming (model.layers. under
// PEFT's prefix), and with `beside` a projector as non_lora_trainables.
void make_adapter(const std::filesystem::path& folder, const Checkpoint& base, const std::vector<std::int64_t>& layers,
                  bool beside = true, double size = 0.1);

// Adds a norm of each of `layers` to what was trained beside the adapter in `folder`: one that no checkpoint has.
void train_norms_beside(const std::filesystem::path& folder, const std::vector<std::int64_t>& layers);

// Every name in a folder's weight files, sorted.
std::vector<std::string> tensor_names(const std::filesystem::path& folder);

}  // namespace striate::test

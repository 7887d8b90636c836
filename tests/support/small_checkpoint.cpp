#include "tests/support/small_checkpoint.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_file.h"
#include "striate/model/decoder.h"
#include "tests/support/paths.h"
#include "tests/support/weights.h"

namespace striate::test {

std::string family_name(const SmallCheckpoint& shape) {
  std::string name = shape.arch + (shape.layout == Layout::kHf ? "_hf" : "_original");
  for (char& letter : name) {
    if (letter == '-' || letter == '.') letter = '_';
  }
  return name;
}

std::vector<SmallCheckpoint> every_family() {
  return {{"llava-1.5-7b", Layout::kHf},
          {"llava-1.5-7b", Layout::kOriginal},
          {"bunny-llama3-8b", Layout::kOriginal},
          {"bunny-phi3-mini", Layout::kOriginal}};
}

void make_checkpoint(const std::filesystem::path& folder, const SmallCheckpoint& shape) {
  InitRequest request;
  request.arch = shape.arch;
  if (shape.arch.starts_with("llava")) request.layout = shape.layout;
  request.dtype = shape.dtype;
  request.seed = shape.seed;
  request.out = folder;
  ShapeChanges& c = request.changes;
  c.layers = shape.layers;
  c.hidden = 32;
  c.heads = 4;
  c.kv_heads = 4;
  c.head_dim = 8;
  c.mlp = 48;
  c.vocab = shape.vocab;
  if (!shape.arch.starts_with("llama") && !shape.arch.starts_with("phi")) {
    c.vision_layers = 2;
    c.vision_hidden = 16;
    c.vision_heads = 2;
    c.vision_mlp = 24;
    c.image_size = 28;
  }
  init_model(request);
}

Checkpoint open_small(const std::filesystem::path& folder, const std::optional<std::filesystem::path>& adapter) {
  ModelPaths paths;
  paths.model = folder;
  paths.adapter = adapter;
  return open_checkpoint(paths);
}

void make_adapter(const std::filesystem::path& folder, const Checkpoint& base, const std::vector<std::int64_t>& layers,
                  bool beside, double size) {
  std::filesystem::create_directories(folder);
  auto generator = at::make_generator<at::CPUGeneratorImpl>(17);
  std::vector<std::pair<std::string, at::Tensor>> matrices;
  constexpr std::int64_t kRank = 3;
  for (const std::int64_t layer : layers) {
    for (const LinearShape& linear : decoder_linears(base.config.decoder)) {
      const std::string name = cat("base_model.model.model.layers.", layer, ".", linear.name);
      matrices.emplace_back(name + ".lora_A.weight", at::randn({kRank, linear.in}, generator) * size);
      matrices.emplace_back(name + ".lora_B.weight", at::randn({linear.out, kRank}, generator) * size);
    }
  }
  write_safetensors(folder / "adapter_model.safetensors", matrices);
  write_file(folder / "adapter_config.json", R"({"peft_type": "LORA", "r": 3, "lora_alpha": 6, "lora_dropout": 0.05})");
  if (!beside) return;
  const ProjectorConfig& projector = *base.config.projector;
  const std::string name = "base_model.model.model.mm_projector.0.";
  write_safetensors(folder / "non_lora_trainables.safetensors",
                    {{name + "weight", at::randn({projector.out_size, projector.in_size}, generator) * 0.3},
                     {name + "bias", at::randn({projector.out_size}, generator) * 0.3}});
}

void train_norms_beside(const std::filesystem::path& folder, const std::vector<std::int64_t>& layers) {
  const AdapterFile adapter(folder);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const TensorInfo& info : adapter.beside()->tensors()) {
    tensors.emplace_back(info.name, adapter.beside()->load(info.name).clone());
  }
  for (const std::int64_t layer : layers) {
    tensors.emplace_back(cat("base_model.model.model.layers.", layer, ".input_layernorm.weight"),
                         at::full({32}, 2.0 + static_cast<double>(layer), at::TensorOptions(at::kFloat)));
  }
  write_safetensors(folder / "non_lora_trainables.safetensors", tensors);
}

std::vector<std::string> tensor_names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  const auto opened = open_weight_directory(folder);
  for (const TensorInfo& info : opened->tensors()) names.push_back(info.name);
  return names;
}

}  // namespace striate::test

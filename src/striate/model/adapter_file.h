// A LoRA adapter's files: which matrices they hold, for which linears of the decoder, and at what scale.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "striate/files/weight_file.h"
#include "striate/model/adapter_config.h"

namespace striate {

// The two matrices beside one linear: its weight W becomes W + scale B A.
struct AdapterPair {
  std::int64_t layer;
  std::string linear;   // as decoder_linears() gives it: self_attn.q_proj
  const TensorInfo* a;  // [rank, in]
  const TensorInfo* b;  // [out, rank]
  double alpha = 0;

  std::int64_t rank() const { return a->shape.front(); }
};

// What an adapter adds to a weight: scale B A.
struct AdapterUpdate {
  at::Tensor a;  // [rank, in] fp32; of twice the pair's rank where the adapter's start is taken off (adapter_start.h)
  at::Tensor b;  // [out, rank] fp32
  double scale;
};

// An adapter's folder, opened: PEFT's naming or the authors'. Matrices stay in the mapped file until they are asked
// for.
class AdapterFile {
 public:
  // Throws InvalidInput (no such folder, no adapter in it), Unsupported (a setting as AdapterConfig says, matrices
  // outside the decoder, tensors beside A and B), CorruptData (no matrices at all, half a pair, a tensor that is not a
  // matrix, a name without a layer, another rank than the settings say, a matrix that the settings leave out). Whether
  // a pair fits a model is checked when it is applied.
  explicit AdapterFile(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  const AdapterSettings& settings() const { return settings_; }
  // By layer, then by name.
  const std::vector<AdapterPair>& pairs() const { return pairs_; }
  // nullptr where the adapter leaves a linear alone.
  const AdapterPair* find(std::int64_t layer, const std::string& linear) const;
  // The layers that have a matrix, ascending.
  std::vector<std::int64_t> layers() const;
  double scale(const AdapterPair& pair) const { return settings_.scale(pair.alpha, pair.rank()); }
  // What the pair adds to the model's own weight [out, in], on the CPU. Throws CorruptData when it does not fit it.
  AdapterUpdate update(const AdapterPair& pair, const at::Tensor& weight) const;
  // Bytes that the matrices take in a model: fp32, and of twice the rank where the adapter's start is taken off. With
  // `copies_only`, without those that a model on the CPU reads in the mapped file.
  std::int64_t matrix_bytes(bool copies_only) const;
  // A matrix in its own dtype, a view of the file.
  at::Tensor load(const TensorInfo& matrix) const { return file_->load(matrix.name); }
  // non_lora_trainables: weights trained in addition to the adapter (the projector); nullptr when nothing was.
  const std::shared_ptr<const WeightFile>& beside() const { return beside_; }
  // The file of the matrices, for messages.
  std::string where() const;

 private:
  std::filesystem::path folder_;
  AdapterSettings settings_;
  std::shared_ptr<const WeightFile> file_;
  std::shared_ptr<const WeightFile> beside_;
  std::vector<AdapterPair> pairs_;
};

// non_lora_trainables.safetensors or .bin in a folder, if there is one.
std::optional<std::filesystem::path> find_non_lora(const std::filesystem::path& adapter);

// "model.layers.3.self_attn.q_proj.weight" -> {3, "self_attn.q_proj.weight"}; nullopt for names outside the decoder's
// layers.
std::optional<std::pair<std::int64_t, std::string>> split_layer_name(const std::string& canonical);

}  // namespace striate

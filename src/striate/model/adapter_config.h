// adapter_config.json: how a LoRA adapter was made, and what that means for the weights
// (https://huggingface.co/docs/peft, LoraConfig of PEFT 0.21).
//
// A setting that Striate does not know the meaning of may change what the adapter computes. So every key is either in
// the list of those that are understood (docs/models.md), or at a value that switches nothing on, or refused by name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace striate {

// What an adapter's matrices were before training, where that matters: the others start from a product of zero.
enum class AdapterStart {
  kZero,
  kPissa,  // the largest singular values and vectors of the weight (Meng et al., arXiv 2404.02948)
  kOlora,  // the first columns of its QR decomposition (Büyükakyüz, arXiv 2406.01775)
};

// "pissa", "olora"; "true" for kZero: as init_lora_weights names them.
std::string adapter_start_name(AdapterStart start);

struct AdapterSettings {
  std::int64_t rank = 8;
  double alpha = 8;
  double dropout = 0;
  bool rank_stabilised = false;  // the scale is alpha / sqrt(rank) in place of alpha / rank
  AdapterStart start = AdapterStart::kZero;

  double scale(double alpha_of_pair, std::int64_t rank_of_pair) const;
};

// The settings of one adapter's folder, with the rules that tell linears apart. A module is named as PEFT names it:
// "model.language_model.layers.3.self_attn.q_proj".
class AdapterConfig {
 public:
  // Throws InvalidInput (no such file), CorruptData (no JSON, a value of the wrong kind), Unsupported, naming the
  // setting, for what Striate does not compute (DoRA, aLoRA, LoftQ, trained biases, ...) or does not know.
  explicit AdapterConfig(const std::filesystem::path& file);
  ~AdapterConfig();

  const AdapterSettings& settings() const { return settings_; }
  // By rank_pattern and alpha_pattern, else the adapter's own. Throws Unsupported where several patterns fit and say
  // different things.
  std::int64_t rank(const std::string& module) const;
  double alpha(const std::string& module) const;
  // The setting by which PEFT leaves this module of decoder layer `layer` alone ("target_modules", "exclude_modules",
  // "layers_to_transform"); nullopt where it has an adapter.
  std::optional<std::string> left_out_by(const std::string& module, std::int64_t layer) const;

 private:
  struct Rules;
  AdapterSettings settings_;
  std::unique_ptr<Rules> rules_;
};

}  // namespace striate

#include "striate/study/answering_cost.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "striate/infer/generate.h"

namespace striate::study {
namespace {

constexpr std::int64_t kPromptTokens = 256, kDecodedTokens = 32;
constexpr int kRepetitions = 5;

// The layer that a tensor belongs to; -1: none.
std::int64_t layer_of(std::string_view name) {
  constexpr std::string_view kLayers = "model.layers.";
  if (!name.starts_with(kLayers)) return -1;
  std::int64_t layer = -1;
  name.remove_prefix(kLayers.size());
  std::from_chars(name.data(), name.data() + name.size(), layer);
  return layer;
}

std::uint64_t weight_bytes(const Checkpoint& source, const LayerSet& gone) {
  std::uint64_t bytes = 0;
  for (const auto& [name, entry] : source.weights.entries()) {
    const std::int64_t layer = layer_of(name);
    if (layer < 0 || !gone.contains(layer)) bytes += entry.info->bytes;
  }
  return bytes;
}

}  // namespace

AnsweringCost answering_cost(const Lvlm& model, const Checkpoint& source, const LayerSet& gone) {
  const DecoderConfig& decoder = model.config().decoder;
  const std::int64_t decoded = std::min(kDecodedTokens, decoder.max_positions / 4);
  Sample prompt;
  for (std::int64_t i = 0; i < std::min(kPromptTokens, decoder.max_positions / 2); ++i) {
    prompt.input_ids.push_back(3 + i % std::max<std::int64_t>(1, decoder.vocab_size - 3));  // words, not marks
  }
  GenerationOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = std::max<std::int64_t>(2, decoded);
  Generator generator(model, nullptr);
  AnsweringCost cost;
  for (int repetition = 0; repetition < kRepetitions; ++repetition) {
    generator.reset();
    const GenerationResult result = generator.generate(prompt, options);
    cost.prefill_tokens_per_second = std::max(cost.prefill_tokens_per_second, result.prompt_tokens_per_s());
    cost.decode_tokens_per_second = std::max(cost.decode_tokens_per_second, result.decode_tokens_per_s());
  }
  cost.weights = weight_bytes(source, gone);
  return cost;
}

}  // namespace striate::study

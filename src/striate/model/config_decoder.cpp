// A decoder's settings, with the defaults that transformers fills in.
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/model/config_bounds.h"
#include "striate/model/config_reader.h"
#include "striate/model/unsupported.h"

namespace striate {
namespace {

using nlohmann::json;

RopeScaling parse_rope_scaling(const json& scaling, const std::string& where) {
  const ConfigReader reader(scaling, where);
  for (const auto& [key, value] : scaling.items()) {
    if (value.is_object()) {
      throw unsupported(cat(where, ": separate rotary positions for \"", key, "\" are not supported"),
                        "use a model with the same rotary positions in every layer, such as Llama or Phi-3");
    }
  }
  const std::string type = reader.text("rope_type", reader.text("type", "default"));
  RopeScaling result;
  if (type == "default") return result;
  result.factor = reader.number("factor", 1.0, 1.0, 1e6);
  if (type == "linear") {
    result.kind = RopeScaling::Kind::kLinear;
  } else if (type == "llama3") {
    result.kind = RopeScaling::Kind::kLlama3;
    result.low_freq_factor = reader.number("low_freq_factor", 1.0, 1e-3, 1e6);
    result.high_freq_factor = reader.number("high_freq_factor", 4.0, 1e-3, 1e6);
    if (!(result.high_freq_factor > result.low_freq_factor)) {
      throw reader.wrong("high_freq_factor", "more than low_freq_factor");
    }
    result.original_positions =
        reader.number("original_max_position_embeddings", 8192, 1, static_cast<double>(kMostPositions));
  } else {
    throw unsupported(cat(where, ": rope scaling \"", type, "\" is not implemented"),
                      "use the 4k-context release of the model (e.g. Phi-3-mini-4k), which needs no scaling");
  }
  return result;
}

RopeScaling read_rope(const ConfigReader& config, double& theta) {
  theta = config.number("rope_theta", 10000.0, 1, kMostTheta);
  // transformers 5 gathers both in rope_parameters, and reads rope_scaling first where a file has it too.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(key) || config.at(key).empty()) continue;
    const std::string where = cat(config.where(), ": ", key);
    refuse_unsupported_settings(config.at(key), where);
    const ConfigReader parameters(config.at(key), where);
    theta = parameters.number("rope_theta", theta, 1, kMostTheta);
    return parse_rope_scaling(config.at(key), where);
  }
  return {};
}

void read_heads(const ConfigReader& config, DecoderConfig& decoder) {
  decoder.heads = config.integer("num_attention_heads", 32, 1, kMostHeads);
  decoder.kv_heads = config.integer("num_key_value_heads", decoder.heads, 1, decoder.heads);
  if (!config.has("head_dim") && decoder.hidden_size % decoder.heads != 0) {
    throw corrupt_data(
        cat(config.where(), ": hidden_size ", decoder.hidden_size, " is not a multiple of ", decoder.heads, " heads"),
        "compare it with the published config.json of this model");
  }
  decoder.head_dim = config.integer("head_dim", decoder.hidden_size / decoder.heads, 1, 4096);
  if (decoder.heads % decoder.kv_heads != 0) {
    throw corrupt_data(
        cat(config.where(), ": ", decoder.heads, " heads cannot share ", decoder.kv_heads, " key-value heads"),
        "num_attention_heads must be a multiple of num_key_value_heads");
  }
  if (decoder.head_dim % 2 != 0) {
    throw corrupt_data(cat(config.where(), ": head_dim ", decoder.head_dim, " is odd: rotary embedding needs pairs"),
                       "compare it with the published config.json of this model");
  }
}

}  // namespace

DecoderConfig parse_decoder_config(const json& root, DecoderKind kind, const std::string& where) {
  const ConfigReader config(root, where);
  DecoderConfig decoder;
  decoder.kind = kind;
  const bool phi3 = kind == DecoderKind::kPhi3;
  decoder.vocab_size = config.integer("vocab_size", phi3 ? 32064 : 32000, 1, kMostTokenId);
  decoder.hidden_size = config.integer("hidden_size", phi3 ? 3072 : 4096, 1, kMostWidth);
  decoder.mlp_size = config.integer("intermediate_size", phi3 ? 8192 : 11008, 1, kMostWidth);
  decoder.layers = config.integer("num_hidden_layers", 32, 1, kMostLayers);
  read_heads(config, decoder);
  decoder.max_positions = config.integer("max_position_embeddings", phi3 ? 4096 : 2048, 1, kMostPositions);
  decoder.rms_eps = config.number("rms_norm_eps", phi3 ? 1e-5 : 1e-6, kLeastNormEps, kMostNormEps);
  decoder.rope_scaling = read_rope(config, decoder.rope_theta);
  if (phi3 && config.has("sliding_window")) decoder.sliding_window = config.integer("sliding_window", 0, 1);
  decoder.tie_embeddings = config.boolean("tie_word_embeddings", false);
  decoder.attention_bias = config.boolean("attention_bias", false);
  decoder.mlp_bias = config.boolean("mlp_bias", false);
  const std::string activation = config.text("hidden_act", "silu");
  if (activation != "silu") {
    throw unsupported(cat(where, ": activation \"", activation, "\" is not implemented"), "known: silu");
  }
  decoder.bos_id = config.integer("bos_token_id", 1, 0, kMostTokenId);
  decoder.eos_ids = config.integer_or_integers("eos_token_id", {phi3 ? 32000 : 2}, -1, kMostTokenId);
  if (config.has("pad_token_id")) decoder.pad_id = config.integer("pad_token_id", 0, -1, kMostTokenId);
  return decoder;
}

}  // namespace striate

#include "striate/model/adapter_config.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/model/config_reader.h"
#include "striate/text/regex.h"
#include "striate/text/utf8.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kMaxPatterns = 1 << 14;

// Read below, each with the values that are understood.
constexpr std::array kRead = {"peft_type",
                              "r",
                              "lora_alpha",
                              "lora_dropout",
                              "use_rslora",
                              "init_lora_weights",
                              "rank_pattern",
                              "alpha_pattern",
                              "bias",
                              "target_modules",
                              "exclude_modules",
                              "layers_to_transform"};

// Whatever their value, they change nothing of what an adapter that is used computes: they say where it comes from, how
// its training began (init_lora_weights says whether that matters), or belong to a setting that is refused.
constexpr std::array kWithoutMeaning = {
    "auto_mapping", "base_model_name_or_path", "corda_config",  "eva_config",     "inference_mode", "layers_pattern",
    "loftq_config", "lora_ga_config",          "megatron_core", "parent_library", "peft_version",   "qalora_group_size",
    "revision",     "runtime_config",          "task_type"};

// What the settings that PEFT has and Striate has not are called where people write about them.
struct Named {
  std::string_view key;
  std::string_view title;
};
constexpr std::array kRefused = {
    Named{"use_dora", "DoRA"},
    Named{"alora_invocation_tokens", "aLoRA: an adapter that acts only after certain words"},
    Named{"lora_bias", "biases of the LoRA matrices"},
    Named{"modules_to_save", "whole modules trained in addition to the adapter"},
    Named{"trainable_token_indices", "single tokens' embeddings trained in addition to the adapter"},
    Named{"target_parameters", "adapters on parameters outside linears"},
    Named{"layer_replication", "a model with repeated layers"},
    Named{"use_qalora", "QALoRA"},
    Named{"use_bdlora", "block-diagonal LoRA"},
    Named{"kasa_config", "KaSA"},
    Named{"monteclora_config", "Monte Carlo LoRA"},
    Named{"arrow_config", "Arrow: a choice among several adapters"},
    Named{"megatron_config", "Megatron's parallel linears"},
    Named{"velora_config", "VeLoRA"},
    Named{"ensure_weight_tying", "adapters on tied weights"},
    Named{"fan_in_fan_out", "weights stored as [in, out]"},
};

template <typename List>
bool contains(const List& list, std::string_view key) {
  return std::find(list.begin(), list.end(), key) != list.end();
}

// null, false, 0, "", [] and {} switch nothing on.
bool is_off(const json& value) {
  if (value.is_null() || value == json(false)) return true;
  if (value.is_number()) return value == json(0);
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return (value.is_array() || value.is_object()) && value.empty();
}

std::string lower_case(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::string short_text(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 60) text = to_valid_utf8(text.substr(0, 57)) + "...";
  return text;
}

Error refused(const std::string& where, const std::string& key, const json& value) {
  const auto named = std::find_if(kRefused.begin(), kRefused.end(), [&](const Named& n) { return n.key == key; });
  const std::string setting = cat(where, ": \"", key, "\": ", short_text(value));
  if (named == kRefused.end()) {
    return unsupported(cat(setting, " is a setting that Striate does not know"),
                       "merge the adapter into its model with PEFT; or remove the setting from the file if it does not "
                       "change what the adapter computes");
  }
  return unsupported(cat(setting, " (", named->title, ") is not implemented"),
                     "merge the adapter into its model with PEFT (merge_and_unload, save_pretrained), and open that");
}

void refuse_unknown(const json& root, const std::string& where) {
  for (const auto& [key, value] : root.items()) {
    if (contains(kRead, key) || contains(kWithoutMeaning, key) || is_off(value)) continue;
    throw refused(where, key, value);
  }
}

AdapterStart read_start(const ConfigReader& config) {
  constexpr const char* kKey = "init_lora_weights";
  if (!config.has(kKey) || config.at(kKey).is_boolean()) return AdapterStart::kZero;
  const std::string text = config.text(kKey, "");
  // Begun in other ways, with a product of zero: PEFT leaves the weight as it is.
  if (contains(std::array{"gaussian", "eva", "orthogonal", "mica"}, text)) return AdapterStart::kZero;
  if (text == "pissa") return AdapterStart::kPissa;
  if (lower_case(text) == "olora") return AdapterStart::kOlora;
  const std::string setting = cat(config.where(), ": \"", kKey, "\": ", short_text(config.at(kKey)));
  const std::string convert =
      "turn it into a plain adapter with PEFT: save_pretrained(..., path_initial_model_for_weight_conversion=...)";
  if (text.starts_with("pissa_niter_")) {
    throw unsupported(setting + ": the adapter belongs to the model minus a random initial value", convert);
  }
  if (contains(std::array{"corda", "lora_ga", "loftq"}, text)) {
    throw unsupported(setting + ": the adapter belongs to a model that PEFT changed before training, based on data",
                      text == "loftq" ? "merge the adapter with PEFT, into the model that LoftQ made" : convert);
  }
  throw unsupported(setting + " is an initialisation that Striate does not know",
                    "known: true, false, gaussian, eva, orthogonal, mica, pissa, olora");
}

AdapterSettings read_settings(const ConfigReader& config) {
  const std::string kind = config.text("peft_type", "LORA");
  if (kind != "LORA") throw unsupported(cat(config.where(), ": adapter kind ", kind), "known: LORA");
  const std::string bias = config.text("bias", "none");
  if (bias != "none") {
    throw unsupported(cat(config.where(), ": \"bias\": \"", bias, "\": adapters that train biases are not implemented"),
                      "merge the adapter with PEFT first");
  }
  AdapterSettings settings;
  settings.rank = config.integer("r", 8, 1, 1 << 16);
  settings.alpha = config.number("lora_alpha", 8, -1e6, 1e6);
  settings.dropout = config.number("lora_dropout", 0, 0, 1);
  settings.rank_stabilised = config.boolean("use_rslora", false);
  settings.start = read_start(config);
  return settings;
}

// As PEFT matches rank_pattern's: the whole name, or its end after a dot. It matches target_modules' against whole
// names, which begin otherwise in an older transformers or without a task's wrapper: here, too, the end decides.
Regex end_pattern(const std::string& where, const char* key, const std::string& pattern) {
  try {
    return Regex(cat("^(?:.*\\.)?(?:", pattern, ")$"), cat(where, ": \"", key, "\""));
  } catch (const Error&) {
    throw unsupported(cat(where, ": \"", key, "\": ", short_text(pattern), " is not a regular expression"),
                      "correct it, or merge the adapter with PEFT");
  }
}

bool fits(const Regex& pattern, const std::string& name) {
  const auto found = pattern.find_all(name);
  return !found.empty() && found.front() == std::pair(std::size_t{0}, name.size());
}

struct PatternValue {
  Regex pattern;
  double value;
};

std::vector<PatternValue> read_patterns(const ConfigReader& config, const char* key) {
  std::vector<PatternValue> patterns;
  if (!config.has(key)) return patterns;
  const json& map = config.at(key);
  if (!map.is_object() || map.size() > kMaxPatterns) throw config.wrong(key, "an object of names and numbers");
  for (const auto& [pattern, value] : map.items()) {
    if (!value.is_number()) throw config.wrong(key, "an object of names and numbers");
    patterns.push_back({end_pattern(config.where(), key, pattern), value.get<double>()});
  }
  return patterns;
}

// The value of the patterns that fit; they must agree (PEFT takes the first in the file).
double value_of(const std::vector<PatternValue>& patterns, const std::string& module, double fallback,
                const std::string& where, const char* key) {
  std::optional<double> found;
  for (const PatternValue& entry : patterns) {
    if (!fits(entry.pattern, module)) continue;
    if (found && *found != entry.value) {
      throw unsupported(cat(where, ": \"", key, "\" has several values for ", module),
                        "leave one pattern for each linear, or merge the adapter with PEFT");
    }
    found = entry.value;
  }
  return found.value_or(fallback);
}

// target_modules or exclude_modules: names that modules end in, or one regular expression.
struct ModuleList {
  std::vector<std::string> ends;
  std::optional<Regex> whole;

  bool has(const std::string& module) const {
    if (whole) return fits(*whole, module);
    return std::any_of(ends.begin(), ends.end(),
                       [&](const std::string& end) { return module == end || module.ends_with("." + end); });
  }
};

std::optional<ModuleList> read_modules(const ConfigReader& config, const char* key) {
  if (!config.has(key) || config.at(key).empty()) return std::nullopt;
  const json& value = config.at(key);
  ModuleList list;
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (lower_case(text) == "all-linear") return std::nullopt;
    list.whole = end_pattern(config.where(), key, text);
    return list;
  }
  if (!value.is_array()) throw config.wrong(key, "a list of names or a regular expression");
  for (const json& name : value) {
    if (!name.is_string()) throw config.wrong(key, "a list of names or a regular expression");
    list.ends.push_back(name.get<std::string>());
  }
  return list;
}

std::vector<std::int64_t> read_layers(const ConfigReader& config, const char* key) {
  if (!config.has(key)) return {};
  const json& value = config.at(key);
  std::vector<std::int64_t> layers;
  for (const json& layer : value.is_array() ? value : json::array({value})) {
    if (!layer.is_number_integer()) throw config.wrong(key, "a list of layers");
    layers.push_back(layer.get<std::int64_t>());
  }
  return layers;
}

}  // namespace

struct AdapterConfig::Rules {
  std::string where;
  std::vector<PatternValue> ranks;
  std::vector<PatternValue> alphas;
  std::optional<ModuleList> targets;
  std::optional<ModuleList> excluded;
  std::vector<std::int64_t> layers;  // empty: all
};

std::string adapter_start_name(AdapterStart start) {
  return start == AdapterStart::kPissa ? "pissa" : start == AdapterStart::kOlora ? "olora" : "true";
}

double AdapterSettings::scale(double alpha_of_pair, std::int64_t rank_of_pair) const {
  const auto r = static_cast<double>(rank_of_pair);
  return alpha_of_pair / (rank_stabilised ? std::sqrt(r) : r);
}

AdapterConfig::AdapterConfig(const fs::path& file) : rules_(std::make_unique<Rules>()) {
  const json root = read_json_file(file);
  const ConfigReader config(root, file.string());
  settings_ = read_settings(config);
  refuse_unknown(root, file.string());
  rules_->where = file.string();
  rules_->ranks = read_patterns(config, "rank_pattern");
  rules_->alphas = read_patterns(config, "alpha_pattern");
  rules_->targets = read_modules(config, "target_modules");
  rules_->excluded = read_modules(config, "exclude_modules");
  rules_->layers = read_layers(config, "layers_to_transform");
}

AdapterConfig::~AdapterConfig() = default;

std::int64_t AdapterConfig::rank(const std::string& module) const {
  return static_cast<std::int64_t>(
      value_of(rules_->ranks, module, static_cast<double>(settings_.rank), rules_->where, "rank_pattern"));
}

double AdapterConfig::alpha(const std::string& module) const {
  return value_of(rules_->alphas, module, settings_.alpha, rules_->where, "alpha_pattern");
}

std::optional<std::string> AdapterConfig::left_out_by(const std::string& module, std::int64_t layer) const {
  const std::vector<std::int64_t>& layers = rules_->layers;
  if (rules_->excluded && rules_->excluded->has(module)) return "exclude_modules";
  if (rules_->targets && !rules_->targets->has(module)) return "target_modules";
  if (!layers.empty() && std::find(layers.begin(), layers.end(), layer) == layers.end()) return "layers_to_transform";
  return std::nullopt;
}

}  // namespace striate

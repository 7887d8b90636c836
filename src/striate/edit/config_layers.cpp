#include "striate/edit/config_layers.h"

#include <algorithm>
#include <string>

namespace striate {
namespace {

using nlohmann::json;

bool names_decoder_layers(const std::string& key) {
  return key.find("layer") != std::string::npos && !key.starts_with("mm_") && !key.starts_with("vision_");
}

json items_of(const json& list, const LayerSet& keep) {
  json out = json::array();
  for (const std::int64_t layer : keep) out.push_back(list.at(static_cast<std::size_t>(layer)));
  return out;
}

// Where a layer number is in `keep`, or -1.
std::int64_t new_number(std::int64_t layer, const LayerSet& keep) {
  const auto found = std::lower_bound(keep.begin(), keep.end(), layer);
  return found != keep.end() && *found == layer ? found - keep.begin() : -1;
}

bool are_layer_numbers(const json& list, std::int64_t layers) {
  return std::all_of(list.begin(), list.end(), [&](const json& item) {
    return item.is_number_integer() && item.get<std::int64_t>() >= 0 && item.get<std::int64_t>() < layers;
  });
}

json renumbered(const json& list, const LayerSet& keep) {
  json out = json::array();
  for (const json& item : list) {
    const std::int64_t number = new_number(item.get<std::int64_t>(), keep);
    if (number >= 0) out.push_back(number);
  }
  return out;
}

json heads_of(const json& heads, const LayerSet& keep) {
  json out = json::object();
  for (std::size_t i = 0; i < keep.size(); ++i) {
    const std::string old = std::to_string(keep[i]);
    if (heads.contains(old)) out[std::to_string(i)] = heads.at(old);
  }
  return out;
}

}  // namespace

json config_of_layers(json config, const LayerSet& keep) {
  const std::int64_t layers = keep.depth();
  for (auto& [key, value] : config.items()) {
    if (key == "max_window_layers" && value.is_number_integer()) {
      value = std::lower_bound(keep.begin(), keep.end(), value.get<std::int64_t>()) - keep.begin();
    } else if (key == "pruned_heads" && value.is_object()) {
      value = heads_of(value, keep);
    } else if (!value.is_array() || !names_decoder_layers(key)) {
      continue;
    } else if (static_cast<std::int64_t>(value.size()) == layers) {
      value = items_of(value, keep);
    } else if (key.ends_with("_layers") && are_layer_numbers(value, layers)) {
      value = renumbered(value, keep);
    }
  }
  config["num_hidden_layers"] = keep.size();
  return config;
}

}  // namespace striate

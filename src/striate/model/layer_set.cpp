#include "striate/model/layer_set.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config_bounds.h"
#include "striate/model/config_reader.h"

namespace striate {

LayerSet::LayerSet(std::int64_t depth, std::vector<std::int64_t> layers, std::string text)
    : depth_(depth), layers_(std::move(layers)), text_(std::move(text)) {
  if (depth < 1) throw internal_error("a layer set of a decoder without layers");
  std::sort(layers_.begin(), layers_.end());
  for (const std::int64_t layer : layers_) {
    if (layer >= 0 && layer < depth) continue;
    throw invalid_input(cat("layer ", layer, " is outside the decoder"), cat("it has layers 0 to ", depth - 1));
  }
  const auto twice = std::adjacent_find(layers_.begin(), layers_.end());
  if (twice != layers_.end()) throw invalid_input(cat("layer ", *twice, " is given twice"), "give every layer once");
}

LayerSet LayerSet::all(std::int64_t depth) {
  std::vector<std::int64_t> layers(static_cast<std::size_t>(depth));
  std::iota(layers.begin(), layers.end(), std::int64_t{0});
  return {depth, std::move(layers)};
}

bool LayerSet::contains(std::int64_t layer) const {
  return std::binary_search(layers_.begin(), layers_.end(), layer);
}

LayerSet LayerSet::complement() const {
  LayerSet others;
  others.depth_ = depth_;
  for (std::int64_t layer = 0; layer < depth_; ++layer) {
    if (!contains(layer)) others.layers_.push_back(layer);
  }
  return others;
}

LayerSet LayerSet::named(std::string text) const {
  LayerSet same = *this;
  same.text_ = std::move(text);
  return same;
}

std::string LayerSet::text() const {
  return text_.empty() ? list() : text_;
}

std::string LayerSet::list() const {
  return layer_list_text(layers_);
}

std::string LayerSet::stripes() const {
  std::string out;
  for (std::int64_t layer = 0; layer < depth_; ++layer) out += contains(layer) ? "█" : "·";
  return out;
}

nlohmann::json LayerSet::record() const {
  return {{"spec", text()}, {"layers", layers_}, {"of", depth_}, {"list", list()}};
}

LayerSet LayerSet::from_record(const nlohmann::json& record, const std::string& where) {
  const ConfigReader reader(record, where);
  const std::int64_t depth = reader.integer("of", 0, 1, kMostLayers);
  std::vector<std::int64_t> layers = reader.integers("layers", 0, kMostLayers);
  const std::string hint = "give the layers instead, e.g. `region` 0,4,8";
  if (depth == 0 || !reader.has("layers")) {
    throw corrupt_data(cat(where, R"( is not {"layers": [...], "of": N})"), hint);
  }
  for (const std::int64_t layer : layers) {
    if (layer >= depth) throw corrupt_data(cat(where, " has layer ", layer, " of ", depth), hint);
  }
  std::string text;
  if (const auto spec = record.find("spec"); spec != record.end() && spec->is_string()) text = spec->get<std::string>();
  std::sort(layers.begin(), layers.end());
  const auto twice = std::adjacent_find(layers.begin(), layers.end());
  if (twice != layers.end()) throw corrupt_data(cat(where, " has layer ", *twice, " twice"), hint);
  return {depth, std::move(layers), std::move(text)};
}

std::string layer_list_text(const std::vector<std::int64_t>& layers) {
  std::vector<std::string> pieces;
  for (std::size_t first = 0; first < layers.size();) {
    std::size_t last = first;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) ++last;
    // "3,4" reads better than "3-4".
    if (last == first + 1) last = first;
    pieces.push_back(last == first ? std::to_string(layers[first]) : cat(layers[first], "-", layers[last]));
    first = last + 1;
  }
  return join(pieces, ",");
}

std::string named_layers(const std::vector<std::int64_t>& layers) {
  return cat(layers.size() == 1 ? "layer " : "layers ", layer_list_text(layers));
}

}  // namespace striate

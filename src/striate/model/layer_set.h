// Some of a decoder's layers: a region, the layers that go, the layers that stay. Layers are counted from 0 at the
// bottom.
//
// Where the order of layers means something (which was removed first), a vector is used instead.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace striate {

// Invariant: every layer is inside the decoder, ascending, each once.
class LayerSet {
 public:
  using value_type = std::int64_t;
  using const_iterator = std::vector<std::int64_t>::const_iterator;

  // The empty set of a decoder that is not known yet (depth 0).
  LayerSet() = default;
  // Of a decoder of `depth` layers; `layers` come in any order. `text` is what the user wrote to name them, or empty.
  // Throws InvalidInput for a layer outside the decoder and for a layer named twice.
  LayerSet(std::int64_t depth, std::vector<std::int64_t> layers, std::string text = {});
  // Every layer of a decoder.
  static LayerSet all(std::int64_t depth);

  // How many layers the decoder has.
  std::int64_t depth() const { return depth_; }
  std::size_t size() const { return layers_.size(); }
  std::int64_t count() const { return static_cast<std::int64_t>(layers_.size()); }
  bool empty() const { return layers_.empty(); }
  const_iterator begin() const { return layers_.begin(); }
  const_iterator end() const { return layers_.end(); }
  // The i-th layer from the bottom.
  std::int64_t operator[](std::size_t i) const { return layers_[i]; }
  // Ascending.
  const std::vector<std::int64_t>& numbers() const { return layers_; }

  bool contains(std::int64_t layer) const;
  // The decoder's other layers.
  LayerSet complement() const;
  // The same layers under another text.
  LayerSet named(std::string text) const;

  // The text that named the layers ("uniform:25%"); list() where there was none.
  std::string text() const;
  // The layers as a text that the grammar of region/layer_grammar.h reads: "0,4,8-11".
  std::string list() const;
  // A picture, one character per layer from bottom (left) to top: "█···█···".
  std::string stripes() const;

  // As run.json and striate.json record a region: {"spec": text(), "layers": [...], "of": depth(), "list": list()}.
  nlohmann::json record() const;
  // Reads such a record; `where` names it in errors. Throws CorruptData when it is not one, or contradicts itself.
  static LayerSet from_record(const nlohmann::json& record, const std::string& where);

  // The same layers of the same depth; the text does not count.
  friend bool operator==(const LayerSet& a, const LayerSet& b) {
    return a.depth_ == b.depth_ && a.layers_ == b.layers_;
  }

 private:
  std::int64_t depth_ = 0;
  std::vector<std::int64_t> layers_;
  std::string text_;
};

// Layers of a decoder whose depth is not known, ascending, written as LayerSet::list() writes them.
std::string layer_list_text(const std::vector<std::int64_t>& layers);
// "layer 4", "layers 0,4".
std::string named_layers(const std::vector<std::int64_t>& layers);

}  // namespace striate

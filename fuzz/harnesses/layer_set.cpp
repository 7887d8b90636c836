// The grammar of layer sets. The first byte is the decoder's depth, from 1.
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/region/layer_grammar.h"
#include "support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  if (size == 0) return 0;
  const std::int64_t depth = 1 + data[0];
  const std::string_view spec = fuzz::bytes_of(data + 1, size - 1);
  fuzz::read_or_refuse(spec, [&] {
    const LayerSet layers = parse_layer_set(spec, depth);
    if (layers.empty()) fuzz::found("a layer set that names nothing");
    std::int64_t before = -1;
    for (const std::int64_t layer : layers) {
      if (layer <= before || layer >= depth) fuzz::found("a layer out of order or outside the decoder");
      before = layer;
    }
    if (!(parse_layer_set(layers.list(), depth) == layers)) fuzz::found("a list that is read as another");
    (void)layers.stripes();
    if (!(LayerSet::from_record(layers.record(), "record") == layers)) fuzz::found("a record that is read as another");
  });
  return 0;
}

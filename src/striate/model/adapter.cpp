// Adapters around a model's linears.
#include <string>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/adapter_file.h"
#include "striate/model/load.h"

namespace striate {
namespace {

void apply_pair(Lvlm& model, const AdapterFile& file, const AdapterPair& pair) {
  std::vector<DecoderLayer>& layers = model.decoder().layers();
  if (pair.layer >= static_cast<std::int64_t>(layers.size())) {
    throw corrupt_data(
        cat(file.where(), ": an adapter for layer ", pair.layer, "; the model has layers 0 to ", layers.size() - 1),
        "the adapter belongs to another model");
  }
  DecoderLayer& layer = layers[static_cast<std::size_t>(pair.layer)];
  const Linear* current = nullptr;
  for (const auto& [name, linear] : layer.linears()) {
    if (name == pair.linear) current = linear.get();
  }
  if (current == nullptr) {
    throw corrupt_data(cat(file.where(), ": layer ", pair.layer, " has no linear ", pair.linear),
                       "the adapter belongs to another family of models");
  }
  const at::Device device = model.placement().device;
  const AdapterUpdate update = file.update(pair, current->matrix().weight());
  layer.replace_linear(pair.linear, std::make_shared<LoraLinear>(current->matrix(), update.a.to(device),
                                                                 update.b.to(device), update.scale));
}

}  // namespace

void apply_adapter(Lvlm& model, const std::filesystem::path& folder) {
  const AdapterFile file(folder);
  for (const AdapterPair& pair : file.pairs()) apply_pair(model, file, pair);
}

}  // namespace striate

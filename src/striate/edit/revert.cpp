#include "striate/edit/revert.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/edit/history.h"
#include "striate/model/name_map.h"

namespace striate {
namespace {

std::string decoder_text(const DecoderConfig& c) {
  return cat(c.kind == DecoderKind::kPhi3 ? "Phi-3" : "Llama", " decoder of ", c.layers, " layers with ", c.heads,
             " heads (", c.kv_heads, " of keys and values)");
}

// Where each layer of the tuned model was in the base.
LayerSet places_in_base(const Checkpoint& tuned, const Checkpoint& base) {
  const DecoderConfig& ours = tuned.config.decoder;
  const DecoderConfig& theirs = base.config.decoder;
  LayerSet origin = layer_origin(tuned.folder, ours.layers);
  if (theirs.layers == ours.layers) origin = LayerSet::all(ours.layers);
  const bool fits = ours.kind == theirs.kind && origin.depth() == theirs.layers && ours.heads == theirs.heads &&
                    ours.kv_heads == theirs.kv_heads && ours.head_dim == theirs.head_dim;
  if (fits) return origin;
  throw invalid_input(
      cat(base.folder.string(), ": a ", decoder_text(theirs), ", but the tuned model has a ", decoder_text(ours)),
      "the base must be the model that was tuned");
}

// Whether any tensor of the changed layers differs from what the tuned model has. Shapes and types are checked by then.
bool changes_something(const Checkpoint& tuned, const ModelChange& change) {
  if (tuned.adapter) return true;
  for (const PlannedTensor& tensor : planned_tensors(tuned, change)) {
    const auto layer = split_layer_name(tensor.name);
    if (!layer || !change.from_donor.contains(layer->first)) continue;
    const at::Tensor ours = tuned.weights.load(tensor.name, tensor.shape);
    if (!tensor.load().to(at::kFloat).equal(ours.to(at::kFloat))) return true;
  }
  return false;
}

// The layers that an adapter changes: by its matrices, or by tensors that were trained beside it (a layer's norms).
std::vector<std::int64_t> changed_layers(const AdapterFile& adapter) {
  const std::vector<std::int64_t> adapted = adapter.layers();
  std::set<std::int64_t> layers(adapted.begin(), adapted.end());
  if (adapter.beside() == nullptr) return adapted;
  for (const TensorInfo& info : adapter.beside()->tensors()) {
    const auto canonical = canonical_name(info.name);
    const auto of_layer = canonical ? split_layer_name(*canonical) : std::nullopt;
    if (of_layer) layers.insert(of_layer->first);
  }
  return {layers.begin(), layers.end()};
}

}  // namespace

ModelChange reversion(const Checkpoint& tuned, const Checkpoint& base, const LayerSet& layers) {
  const LayerSet places = places_in_base(tuned, base);
  ModelChange change;
  change.donor = &base;
  for (const std::int64_t layer : layers) change.from_donor[layer] = places[static_cast<std::size_t>(layer)];
  if (!changes_something(tuned, change)) {
    throw invalid_input(cat("nothing to revert: ", named_layers(layers.numbers()), " of ", tuned.folder.string(),
                            " already ", layers.count() == 1 ? "has" : "have", " the base's weights"),
                        "give layers that were tuned (striate.json of a run lists its region)");
  }
  return change;
}

std::map<std::int64_t, std::int64_t> adapter_reversion(const AdapterFile& adapter, const LayerSet& layers) {
  const std::vector<std::int64_t> changed = changed_layers(adapter);  // ascending; the adapter does not tell the depth
  std::map<std::int64_t, std::int64_t> left;
  for (const std::int64_t layer : changed) {
    if (!layers.contains(layer)) left.emplace(layer, layer);
  }
  const std::string has = cat("it has ", named_layers(changed));
  if (left.size() == changed.size()) {
    throw invalid_input(
        cat("nothing to revert: ", adapter.where(), " does not change ", named_layers(layers.numbers())), has);
  }
  const std::vector<std::int64_t> adapted = adapter.layers();
  const bool matrices_left =
      std::any_of(adapted.begin(), adapted.end(), [&](std::int64_t layer) { return left.contains(layer); });
  if (!matrices_left) {
    throw invalid_input(cat(adapter.where(), ": no layer of the adapter would be left (", has, ")"),
                        "use the base alone; the weights trained in addition to the adapter open with `projector` DIR");
  }
  return left;
}

void revert_layers(Lvlm& tuned, const Checkpoint& base, const std::map<std::int64_t, std::int64_t>& from_base) {
  const Decoder decoder(base.weights, base.config.decoder, tuned.placement());
  for (const auto& [layer, place] : from_base) {
    DecoderLayer& target = tuned.decoder().layers().at(static_cast<std::size_t>(layer));
    target = decoder.layers().at(static_cast<std::size_t>(place));
    target.renumber(layer);
  }
}

}  // namespace striate

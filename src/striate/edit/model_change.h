// A change of a checkpoint's model: layers removed, an adapter merged, layers restored, tensors replaced.
//
// The changed model is a list of tensors that are not read yet. The code that writes it (model_folder.h, a GGUF file)
// loads one after another.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "striate/model/layer_set.h"
#include "striate/model/load.h"

namespace striate {

// All of it by the source's own names and layer numbers. The adapter of the source, where it was opened with one, is
// merged; to carry an adapter over instead, open the source without it (adapter_folder.h writes the adapter).
struct ModelChange {
  // Layers that stay; without layers: all. The others are left out, and those that stay are numbered from 0 again.
  LayerSet keep;
  // Layers that take all their tensors from `donor`, which outlives the change: {layer of the source, of the donor}.
  std::map<std::int64_t, std::int64_t> from_donor;
  const Checkpoint* donor = nullptr;
  // Tensors of new contents, fp32, by canonical name (model/name_map.h).
  std::map<std::string, std::function<at::Tensor()>> replaced;
};

// One tensor of the changed model.
struct PlannedTensor {
  std::string name;       // canonical, by the new layer number
  std::string file_name;  // as the source's files name it, by the new layer number
  std::string subfolder;  // where its file lies in the source's folder: "", or the vision tower's own folder
  std::vector<std::int64_t> shape;
  at::ScalarType dtype;  // that the source keeps it in
  // On the CPU, contiguous: the stored bytes, a view of the file; fp32 where something was computed, in one piece, so
  // that the caller rounds once.
  std::function<at::Tensor()> load;
  // Where an adapter is merged, the weight without it, as stored; else empty.
  std::function<at::Tensor()> load_unmerged;
};

// The layers of the source that stay: `keep`, or all of them. Throws InvalidInput for layers of another depth.
LayerSet kept_layers(const Checkpoint& source, const ModelChange& change);

// {layer of the source: its number in the changed model}, of the layers that stay.
std::map<std::int64_t, std::int64_t> new_layer_numbers(const LayerSet& kept);

// The configuration of the changed model. `raw` stays the source's.
ModelConfig changed_config(const Checkpoint& source, const ModelChange& change);

// Every tensor of the changed model in the order of model/tensor_list.h; tensors that the source lacks (layers of the
// vision tower after the feature layer) are left out. An adapted weight is W + scale B A, summed in fp32.
// Throws CorruptData when a tensor of the decoder or the projector is missing or of another shape than the config says,
// or an adapter does not fit; InvalidInput, naming the tensor, when the donor's is of another shape.
std::vector<PlannedTensor> planned_tensors(const Checkpoint& source, const ModelChange& change);

// Tensors in the source's own folder that are not part of an LVLM and that other loaders may look for (a SigLIP pooling
// head), under their own names; rotary tables of removed layers are left out.
std::vector<PlannedTensor> planned_extras(const Checkpoint& source, const ModelChange& change);

}  // namespace striate

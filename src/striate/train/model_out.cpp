// A trained model as a complete Hugging Face folder.
#include <ATen/core/Tensor.h>

#include "striate/base/error.h"
#include "striate/edit/model_folder.h"
#include "striate/train/adapter_out.h"

namespace striate {

void write_model(const std::filesystem::path& folder, const Tunable& tunable, const Checkpoint& base,
                 const ModelOutOptions& options) {
  ModelChange change;
  for (const auto& parameter : tunable.parameters().all()) {
    if (parameter->group == ParameterGroup::kAdapter) {
      throw unsupported("a model with an unmerged adapter cannot be written as a whole",
                        "write the adapter, then merge it");
    }
    change.replaced[parameter->name] = [parameter] { return parameter->value.cpu(); };
  }
  write_model_folder(folder, base, change, {options.dtype, options.max_shard_bytes, {}});
}

}  // namespace striate

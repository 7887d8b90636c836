// A model's configuration, also where its weights are not downloaded yet.
#pragma once

#include "striate/model/load.h"

namespace striate {

// As open_checkpoint(), but a model's folder that holds no weight file at all is opened by its config.json alone: the
// checkpoint then has no weights. Throws as that does.
Checkpoint open_configuration(const ModelPaths& paths);

// The type that `checkpoint` stores the tensor `name` in: its own where it is there, else what the configuration says,
// else bf16.
at::ScalarType stored_type(const Checkpoint& checkpoint, const std::string& name);

}  // namespace striate

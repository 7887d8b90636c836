// The few functions of PyTorch that a pickle may call, on descriptions of tensors instead of tensors
// (torch/_utils.py, torch/_tensor.py, torch/serialization.py).
#pragma once

#include <stdexcept>

#include "striate/files/pickle_value.h"

namespace striate {

// Why a call is refused, to be completed with the file and the place.
class PickleProblem : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// `function(*arguments)`. Throws PickleProblem when the call is not one PyTorch writes.
PickleValue call_pickle_global(const PickleGlobal& function, const PickleValue::Sequence& arguments);

// The storage of a persistent id ('storage', class, key, location, size). Throws PickleProblem as above.
PickleValue pickled_storage(const PickleValue& id);

}  // namespace striate

// What the restricted pickle interpreter (unpickler.h) can make: plain data, and PyTorch's tensors as descriptions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace striate {

// The only names a pickle may ask for.
enum class PickleName {
  kOrderedDict,
  kSize,                       // torch.Size(tuple)
  kDtype,                      // torch.float32, ...
  kStorageClass,               // torch.FloatStorage, ...
  kTensorClass,                // torch.Tensor, torch.nn.Parameter: as an argument only
  kRebuildTensor,              // torch._utils._rebuild_tensor(storage, offset, size, stride)
  kRebuildTensorV2,            // ... (storage, offset, size, stride, requires_grad, hooks[, metadata])
  kRebuildTensorV3,            // ... (storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])
  kRebuildParameter,           // (tensor, requires_grad, hooks)
  kRebuildParameterWithState,  // (tensor, requires_grad, hooks, state)
  kRebuildFromType,            // torch._tensor._rebuild_from_type_v2(function, class, arguments, state)
};

struct PickleGlobal {
  PickleName name;
  std::optional<at::ScalarType> dtype;  // of a dtype or a storage class; none for UntypedStorage
};

// nullopt for every name but those above.
std::optional<PickleGlobal> find_pickle_global(std::string_view module, std::string_view name);

// A range of bytes kept beside the pickle, in the archive's entry data/KEY.
struct PickledStorage {
  std::string key;
  std::optional<at::ScalarType> dtype;  // none: untyped, and `size` counts bytes
  std::int64_t size;                    // elements
};

struct PickledTensor {
  std::shared_ptr<const PickledStorage> storage;
  at::ScalarType dtype;
  std::int64_t offset;  // elements, into the storage
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  // elements
};

// Values refer to each other by pointer and are owned by the Unpickler: cycles are harmless, and so is any depth.
struct PickleValue {
  using Ref = PickleValue*;
  struct None {};
  struct Opaque {};  // bytes: no tensor needs them
  struct Sequence {
    std::vector<Ref> items;
    bool is_tuple;
  };
  struct Dict {
    std::vector<std::pair<Ref, Ref>> items;
  };
  using Storage = std::shared_ptr<const PickledStorage>;
  using Tensor = std::shared_ptr<const PickledTensor>;

  std::variant<None, bool, std::int64_t, double, std::string, Opaque, Sequence, Dict, PickleGlobal, Storage, Tensor>
      data;

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
  template <typename T>
  T* as() {
    return std::get_if<T>(&data);
  }
};

// "a list", "a number", ...: what the value is, for messages.
std::string_view kind_name(const PickleValue& value);

}  // namespace striate

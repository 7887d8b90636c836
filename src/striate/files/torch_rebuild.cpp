#include "striate/files/torch_rebuild.h"

#include "striate/base/strings.h"

namespace striate {
namespace {

using Sequence = PickleValue::Sequence;

// A pickle may use one value a million times, so what is copied out of it must be small.
constexpr std::size_t kMostSizes = 64;    // dimensions of a tensor
constexpr std::size_t kLongestKey = 256;  // of a storage: torch.save counts them

std::int64_t integer(const PickleValue& value, const char* what) {
  const std::int64_t* number = value.as<std::int64_t>();
  if (number == nullptr) throw PickleProblem(cat(what, " is ", kind_name(value), ", not an integer"));
  return *number;
}

std::vector<std::int64_t> integers(const PickleValue& value, const char* what) {
  const Sequence* sequence = value.as<Sequence>();
  if (sequence == nullptr) throw PickleProblem(cat(what, " is ", kind_name(value), ", not a tuple"));
  if (sequence->items.size() > kMostSizes) throw PickleProblem(cat(what, " has ", sequence->items.size(), " numbers"));
  std::vector<std::int64_t> out;
  out.reserve(sequence->items.size());
  for (const PickleValue* item : sequence->items) out.push_back(integer(*item, what));
  return out;
}

void check_count(const Sequence& arguments, std::size_t least, std::size_t most, const char* function) {
  const std::size_t count = arguments.items.size();
  if (count < least || count > most) throw PickleProblem(cat(function, " is called with ", count, " arguments"));
}

PickleValue rebuild_tensor(const Sequence& arguments, PickleName version) {
  const bool typed_by_argument = version == PickleName::kRebuildTensorV3;
  const std::size_t least = typed_by_argument ? 7 : version == PickleName::kRebuildTensorV2 ? 6 : 4;
  check_count(arguments, least, version == PickleName::kRebuildTensor ? 4 : least + 1, "_rebuild_tensor");
  const PickleValue::Storage* storage = arguments.items[0]->as<PickleValue::Storage>();
  if (storage == nullptr)
    throw PickleProblem(cat("a tensor is made of ", kind_name(*arguments.items[0]), ", not of a storage"));
  std::optional<at::ScalarType> dtype = (*storage)->dtype;
  if (typed_by_argument) {
    const PickleGlobal* global = arguments.items[6]->as<PickleGlobal>();
    if (global == nullptr || global->name != PickleName::kDtype) throw PickleProblem("a tensor's dtype is not a dtype");
    dtype = global->dtype;
  }
  if (!dtype) throw PickleProblem("a tensor of an untyped storage has no dtype");
  PickledTensor tensor{*storage, *dtype, integer(*arguments.items[1], "a tensor's offset"),
                       integers(*arguments.items[2], "a tensor's shape"),
                       integers(*arguments.items[3], "a tensor's stride")};
  return {std::make_shared<const PickledTensor>(std::move(tensor))};
}

// A Parameter is its tensor: whether it wants gradients and its hooks do not concern us.
PickleValue rebuild_parameter(const Sequence& arguments, std::size_t count) {
  check_count(arguments, count, count, "_rebuild_parameter");
  if (arguments.items[0]->as<PickleValue::Tensor>() == nullptr) {
    throw PickleProblem(cat("a Parameter is made of ", kind_name(*arguments.items[0]), ", not of a tensor"));
  }
  return *arguments.items[0];
}

// A tensor with Python attributes: (function that makes it, its class, that function's arguments, the attributes).
PickleValue rebuild_from_type(const Sequence& arguments) {
  check_count(arguments, 4, 4, "_rebuild_from_type_v2");
  const PickleGlobal* function = arguments.items[0]->as<PickleGlobal>();
  const PickleGlobal* type = arguments.items[1]->as<PickleGlobal>();
  const Sequence* inner = arguments.items[2]->as<Sequence>();
  if (function == nullptr || type == nullptr || type->name != PickleName::kTensorClass || inner == nullptr ||
      !inner->is_tuple) {
    throw PickleProblem("_rebuild_from_type_v2 is called with other things than PyTorch gives it");
  }
  // Not itself again: a chain of them would be a recursion as deep as the file likes.
  if (function->name == PickleName::kRebuildFromType) throw PickleProblem("_rebuild_from_type_v2 calls itself");
  return call_pickle_global(*function, *inner);
}

}  // namespace

PickleValue call_pickle_global(const PickleGlobal& function, const Sequence& arguments) {
  switch (function.name) {
    case PickleName::kOrderedDict:
      check_count(arguments, 0, 0, "OrderedDict");
      return {PickleValue::Dict{}};
    case PickleName::kSize:
      check_count(arguments, 1, 1, "torch.Size");
      integers(*arguments.items[0], "a torch.Size");
      return *arguments.items[0];
    case PickleName::kRebuildTensor:
    case PickleName::kRebuildTensorV2:
    case PickleName::kRebuildTensorV3:
      return rebuild_tensor(arguments, function.name);
    case PickleName::kRebuildParameter:
      return rebuild_parameter(arguments, 3);
    case PickleName::kRebuildParameterWithState:
      return rebuild_parameter(arguments, 4);
    case PickleName::kRebuildFromType:
      return rebuild_from_type(arguments);
    case PickleName::kDtype:
    case PickleName::kStorageClass:
    case PickleName::kTensorClass:
      break;
  }
  throw PickleProblem("it calls a class that PyTorch only names");
}

PickleValue pickled_storage(const PickleValue& id) {
  const Sequence* fields = id.as<Sequence>();
  if (fields == nullptr || fields->items.size() != 5) throw PickleProblem("a persistent id is not ('storage', ...)");
  const std::string* word = fields->items[0]->as<std::string>();
  const PickleGlobal* type = fields->items[1]->as<PickleGlobal>();
  const std::string* key = fields->items[2]->as<std::string>();
  if (word == nullptr || *word != "storage" || type == nullptr || type->name != PickleName::kStorageClass ||
      key == nullptr) {
    throw PickleProblem("a persistent id is not ('storage', class, key, location, size)");
  }
  if (key->size() > kLongestKey) throw PickleProblem("a storage's key is too long");
  return {std::make_shared<const PickledStorage>(
      PickledStorage{*key, type->dtype, integer(*fields->items[4], "a storage's size")})};
}

}  // namespace striate

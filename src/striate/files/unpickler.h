// A pickle interpreter that can run no code.
//
// It knows the opcodes of protocols 2 to 5 that torch.save emits (https://github.com/python/cpython/blob/main/Lib/
// pickletools.py), builds numbers, strings, containers and descriptions of tensors, and refuses every name that is not
// in the list of pickle_value.h. Bounded: bytes, values, open marks; no recursion.
#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>

#include "striate/files/pickle_value.h"

namespace striate {

struct Unpickled {
  std::deque<PickleValue> values;  // owns all of them
  const PickleValue* root = nullptr;
};

// `file` begins every message. Throws CorruptData for a damaged pickle, Unsupported for one that asks for another
// name ("FILE: its pickle asks for os.system"), uses another opcode, or is larger than any list of tensors needs.
Unpickled unpickle(std::span<const std::byte> pickle, const std::string& file);

}  // namespace striate

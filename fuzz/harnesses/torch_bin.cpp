// A PyTorch file: the zip archive and, where the input begins with a pickle's own first byte, the pickle alone.
#include "striate/base/error.h"
#include "striate/files/unpickler.h"
#include "striate/files/weight_file.h"
#include "support.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  static fuzz::Folder folder("torch");
  const std::string_view input = fuzz::bytes_of(data, size);
  fuzz::read_or_refuse(input, [&] {
    if (input.starts_with('\x80')) {
      const Unpickled pickle = unpickle(std::as_bytes(std::span(data, size)), "x.bin");
      if (pickle.root == nullptr) fuzz::found("a pickle without a value was read");
      return;
    }
    fuzz::read_all(*open_torch_bin(folder.put("x.bin", input)));
  });
  return 0;
}

// A GGUF file, its metadata and its tensors.
#include "striate/base/error.h"
#include "striate/files/gguf_reader.h"
#include "support.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  static fuzz::Folder folder("gguf");
  const std::string_view input = fuzz::bytes_of(data, size);
  fuzz::read_or_refuse(input, [&] { fuzz::read_all(*GgufFile::open(folder.put("x.gguf", input))); });
  return 0;
}

// The weights of a folder: an index and its shards, safetensors and PyTorch's.
#include "striate/base/error.h"
#include "striate/files/weight_file.h"
#include "support.h"
#include "tensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  static fuzz::Folder folder("weights");
  static const std::set<std::string> names = {"model.safetensors.index.json",     "model.safetensors",
                                              "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
                                              "pytorch_model.bin.index.json",     "pytorch_model.bin",
                                              "pytorch_model-00001-of-00001.bin"};
  const std::string_view input = fuzz::bytes_of(data, size);
  folder.unpack(input, names);
  fuzz::read_or_refuse(input, [&] { fuzz::read_all(*open_weight_directory(folder.path())); });
  return 0;
}

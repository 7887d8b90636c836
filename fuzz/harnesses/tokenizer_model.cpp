// tokenizer.model: a sentencepiece model or tiktoken's ranks, told apart by their contents, packed or not.
#include "striate/base/error.h"
#include "support.h"
#include "tokenizing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  static fuzz::Folder folder("tokenizer-model");
  const std::string_view input = fuzz::bytes_of(data, size);
  const auto path = folder.put("tokenizer.model", input);
  for (const bool legacy : {false, true}) {
    fuzz::read_or_refuse(input, [&] { fuzz::use_tokenizer(load_tokenizer(path, {.legacy = legacy}), {}); });
  }
  return 0;
}

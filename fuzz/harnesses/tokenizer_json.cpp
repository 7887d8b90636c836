// tokenizer.json with the settings that lie beside it, and a text that is encoded with it.
#include "striate/base/error.h"
#include "support.h"
#include "tokenizing.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  static fuzz::Folder folder("tokenizer");
  static const std::set<std::string> names = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                              "added_tokens.json", "generation_config.json"};
  const std::string_view input = fuzz::bytes_of(data, size);
  folder.unpack(input, names);
  const auto parts = fuzz::sections(input);
  fuzz::read_or_refuse(input, [&] {
    const auto text = parts.find("text");
    fuzz::use_tokenizer(load_tokenizer(folder.path()), text == parts.end() ? std::string_view() : text->second);
  });
  return 0;
}

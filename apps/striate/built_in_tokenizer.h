// A small tokenizer that is part of the program, for models made from nothing.
#pragma once

#include <string_view>

namespace striate::app {

// The bytes of demo/tokenizer.model: sentencepiece BPE of the Llama kind, 1500 pieces of English; bytes stand for what
// has none. cmake/EmbedFile.cmake writes the source.
std::string_view built_in_tokenizer();

}  // namespace striate::app

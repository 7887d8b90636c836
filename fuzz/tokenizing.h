// Using a tokenizer that was read from an input.
#pragma once

#include <memory>
#include <string_view>

#include "striate/text/tokenizer.h"

namespace striate::fuzz {

// Encodes the first 2 kB of `text` (a text of many scripts where it is empty), decodes and streams the ids, and lists
// the vocabulary. What must hold whatever the tokenizer is: ids within the vocabulary, spans in order and within the
// text, a text streamed as it is decoded.
void use_tokenizer(const std::shared_ptr<const Tokenizer>& tokenizer, std::string_view text);

}  // namespace striate::fuzz

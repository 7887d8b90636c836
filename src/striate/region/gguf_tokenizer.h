// The tokenizer as GGUF metadata (`tokenizer.ggml.*`, `tokenizer.chat_template`).
#pragma once

#include <filesystem>

#include "striate/model/config.h"
#include "striate/tensor/gguf_format.h"

namespace striate {

// What llama.cpp needs to encode as the tokenizer in `folder` does: model `llama` (sentencepiece's pieces and scores)
// or `gpt2` (byte-level BPE with merges and the name of Llama-3's way to cut words, `llama-bpe`), every id of the
// model's vocabulary (rows beyond the tokenizer are "[PADn]", unused; ids beyond the model's rows are left out), kinds
// of tokens, BOS, EOS, the end of a turn, padding, and the chat template where the folder has one. Throws what
// load_tokenizer() throws, and Unsupported for a byte-level tokenizer that cuts words in another way.
GgufMetadata gguf_tokenizer(const std::filesystem::path& folder, const DecoderConfig& decoder);

}  // namespace striate

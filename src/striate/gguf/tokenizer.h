// The tokenizer as GGUF metadata (`tokenizer.ggml.*`, `tokenizer.chat_template`).
#pragma once

#include <filesystem>

#include "striate/files/gguf_format.h"
#include "striate/model/config.h"

namespace striate {

// What llama.cpp needs to encode as the tokenizer in `folder` does: model `llama` (sentencepiece's pieces and scores)
// or `gpt2` (byte-level BPE with merges and the name of Llama-3's way to cut words, `llama-bpe`), every id of the
// model's vocabulary (rows beyond the tokenizer are "[PADn]", unused; ids beyond the model's rows are left out), kinds
// of tokens, BOS, EOS, the end of a turn, padding, and the text of `usual`, the template that `striate chat` asks by.
// A chat template of the tokenizer's own files is left out: Bunny's folders keep their language model's there
// (Phi-3's), with which the LVLM was not tuned. Throws what load_tokenizer() throws, and Unsupported for a byte-level
// tokenizer that cuts words in another way.
GgufMetadata gguf_tokenizer(const std::filesystem::path& folder, const DecoderConfig& decoder, TemplateKind usual);

}  // namespace striate

// Tokenizers that are a BPE model with stages around it: tokenizer.json files and Llama-3's tiktoken file.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "striate/text/added_tokens.h"
#include "striate/text/bpe.h"
#include "striate/text/pipeline.h"
#include "striate/text/token_decoder.h"
#include "striate/text/tokenizer.h"
#include "striate/text/tokenizer_files.h"

namespace striate {

// Everything such a tokenizer is made of.
struct BpeTokenizerParts {
  Vocabulary vocabulary;
  std::vector<BpeMerge> merges;
  BpeOptions options;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenDecoder decoder;
  std::vector<AddedToken> added;
  std::vector<std::int64_t> first_ids;  // what the model puts before a text
  std::optional<std::int64_t> bos, eos, pad;
};

// Throws CorruptData when two tokens share an id or an added token contradicts the vocabulary; `where` names the file.
std::shared_ptr<const Tokenizer> make_bpe_tokenizer(BpeTokenizerParts parts, const std::string& where);

// A tokenizer.json. Throws CorruptData or Unsupported (naming the component) with `where` in front.
std::shared_ptr<const Tokenizer> parse_tokenizer_json(std::string_view text, const TokenizerSettings& settings,
                                                      const std::string& where);

// Whether the tokenizer.json looks for its special tokens in normalised text, as early Llama-2 conversions do: there a
// special token glued to a word ("x</s>") is not found.
bool normalizes_special_tokens(std::string_view text, const std::string& where);

// Llama-3's rank file: 128,000 lines "base64 rank"; the 256 special tokens follow the ranks.
std::shared_ptr<const Tokenizer> parse_llama3_ranks(std::string_view text, const std::string& where);

}  // namespace striate

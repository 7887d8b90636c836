// Tokenizers: text to ids and back, exactly as the models' own.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "striate/text/utf8.h"
#include "striate/text/vocabulary.h"

namespace striate {

// One token of an encoding and the bytes of the text that it covers.
struct TokenSpan {
  std::int64_t id;
  std::size_t begin;  // byte offset in the text
  std::size_t end;
};

struct EncodeOptions {
  bool add_bos = false;       // put the model's first token before the text, where the model has one
  bool parse_special = true;  // special tokens written in the text become their ids
};

struct TokenizerOptions {
  bool legacy = false;  // sentencepiece only: Hugging Face LlamaTokenizer's `legacy` flag
};

// Turns ids into the bytes they add to the text, one after another. What next() and finish() returned, joined, is
// decode() of all the ids.
class PieceDecoder {
 public:
  virtual ~PieceDecoder() = default;
  // Throws InvalidInput for an id outside the vocabulary.
  virtual std::string next(std::int64_t id) = 0;
  // What had to wait for ids to come, at the end of the sequence.
  virtual std::string finish() { return {}; }
};

// A tokenizer is immutable after loading and may be used from many threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual std::vector<std::int64_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // The same tokens, each with the bytes of `text` it stands for, in order. A token that stands for none (BOS, a space
  // the model puts before the first word) has begin == end. Malformed UTF-8 in `text` is taken as U+FFFD; the spans
  // then count the bytes of the repaired text.
  virtual std::vector<TokenSpan> encode_spans(std::string_view text, const EncodeOptions& options = {}) const = 0;
  // The exact bytes of the ids (which may end in the middle of a character). `skip_special` leaves special tokens out.
  // Throws InvalidInput for an id outside the vocabulary.
  virtual std::string decode(const std::vector<std::int64_t>& ids, bool skip_special = false) const;
  // decode() id by id, in constant time for each.
  virtual std::unique_ptr<PieceDecoder> piece_decoder(bool skip_special) const = 0;

  // Number of ids, added tokens included: the largest id + 1.
  virtual std::int64_t vocab_size() const = 0;
  virtual std::optional<std::int64_t> bos_id() const = 0;
  virtual std::optional<std::int64_t> eos_id() const = 0;
  virtual std::optional<std::int64_t> pad_id() const = 0;
  // The id of a token written exactly so ("</s>", "<|eot_id|>"), if there is one.
  virtual std::optional<std::int64_t> token_to_id(std::string_view token) const = 0;
  // The token as the vocabulary writes it. Throws InvalidInput for an id outside the vocabulary.
  virtual std::string id_to_token(std::int64_t id) const = 0;
  virtual bool is_special(std::int64_t id) const = 0;
  // Whether Hugging Face's tokenizer(text) of this model puts BOS first (false for the July-2024 Phi-3).
  virtual bool adds_bos() const = 0;
  // A line for `inspect`: "sentencepiece BPE, 32000 tokens", "byte-level BPE, 128256 tokens".
  virtual std::string description() const = 0;
  // Everything another program needs to encode alike.
  virtual VocabularyListing vocabulary() const = 0;
};

// Opens a tokenizer from a folder (tokenizer.model or tokenizer.json, with tokenizer_config.json, added_tokens.json,
// special_tokens_map.json and generation files where present) or from one file (tokenizer.model, tokenizer.json,
// either also .gz; a sentencepiece model and a tiktoken rank file are told apart by their contents).
// Throws InvalidInput (absent), CorruptData (damaged), Unsupported (a kind Striate does not implement, named).
std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path,
                                                const TokenizerOptions& options = {});

// Decodes a growing sequence of ids piece by piece: each push returns the characters that became complete, never half
// a character. The pieces joined equal decode() of all ids, with malformed bytes replaced by U+FFFD. A push takes the
// same time however long the sequence is.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true);
  std::string push(std::int64_t id);
  // What is still held back, at the end of the sequence.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<PieceDecoder> pieces_;
  Utf8Assembler characters_;
};

}  // namespace striate

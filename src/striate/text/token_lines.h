// JSON Lines of text as JSON Lines of token ids.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "striate/text/tokenizer.h"

namespace striate {

struct TokenizeRequest {
  std::filesystem::path tokenizer;        // a model's folder, or a tokenizer's file
  bool bos = false;                       // whether each text begins with the beginning-of-sequence token
  bool legacy = false;                    // as Hugging Face's LlamaTokenizer with legacy=True; sentencepiece alone
  std::string source = "standard input";  // where the lines come from, for errors
};

class TokenLines {
 public:
  // Throws InvalidInput where `legacy` does not apply, and what opening the tokenizer throws.
  explicit TokenLines(TokenizeRequest request);

  // Gives `out` a line {"ids": [...], "text": the ids decoded} for each {"text": ...}, in order; the work is shared
  // among the processor's cores. `first_number` is the number of the first line. Throws InvalidInput, naming its
  // number, for a line that is none, once the lines before it are out.
  void encode(const std::vector<std::string_view>& lines, std::size_t first_number,
              const std::function<void(const std::string& lines)>& out) const;

 private:
  struct Encoded;
  std::string encode_line(std::string_view line, std::size_t number) const;
  Encoded encode_share(const std::vector<std::string_view>& lines, std::size_t from, std::size_t to,
                       std::size_t first_number) const;

  TokenizeRequest request_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

}  // namespace striate

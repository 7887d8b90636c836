// The tokenizers of the reference data, opened once per test program.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "striate/text/tokenizer.h"
#include "tests/support/paths.h"

namespace striate::test {

// A file of the test data, parsed.
nlohmann::json reference_json(const std::string& name);

// The test data's tokenizers/<name>.
std::filesystem::path tokenizer_path(const std::string& name);

// "llama2_style", "llama2_style_legacy" (tokenizer.model), "llama2_style_json", "llama3_style" (json.gz folder),
// "llama3_style_ranks" (tokenizer.model, filled up to Llama 3's number of ranks); the same five of "llama2" and
// "llama3", Llama's own; "phi3", "phi3_orig" (the April-2024 files: BOS, added tokens without rstrip), "phi2".
std::shared_ptr<const Tokenizer> reference_tokenizer(const std::string& name);

// The folder (or file) that such a tokenizer is read from, below tokenizers/: "llama2" of "llama2_legacy".
std::string folder_of(const std::string& tokenizer);

// How many ranks and special tokens a rank file of Llama 3's has.
constexpr std::int64_t kLlama3Ranks = 128'000;
constexpr std::int64_t kLlama3Specials = 256;

// A rank file of fewer, filled up with tokens that begin with the byte FF, which no text contains.
std::string full_ranks(std::string ranks);

// Bytes of a hex string.
std::string from_hex(const std::string& hex);

// Those of `cases` whose tokenizer, `name(case)`, is there. Llama's own may be absent: the test LlamasOwnTokenizers is
// skipped then and says so.
template <typename Case, typename Name>
std::vector<Case> with_tokenizers(std::span<const Case> cases, const Name& name) {
  std::vector<Case> found;
  for (const Case& one : cases) {
    if (has_tokenizer(folder_of(name(one)))) found.push_back(one);
  }
  return found;
}

// Every tokenizer that is there (rank files aside, which are slow to open), and a parameterised test's name after it.
std::vector<std::string> all_tokenizers();
inline const auto kTokenizerName = [](const auto& info) { return info.param; };

}  // namespace striate::test

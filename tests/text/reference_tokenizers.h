// The tokenizers of the reference data, opened once per test program.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/text/tokenizer.h"

namespace striate::test {

// $STRIATE_TESTDATA/<name>, parsed.
nlohmann::json reference_json(const std::string& name);

// $STRIATE_TESTDATA/tokenizers/<name>.
std::filesystem::path tokenizer_path(const std::string& name);

// "llama2", "llama2_legacy" (tokenizer.model), "llama2_json", "llama3" (json.gz folder), "llama3_ranks"
// (tokenizer.model), "phi3", "phi3_orig" (the April-2024 files: BOS, added tokens without rstrip), "phi2".
std::shared_ptr<const Tokenizer> reference_tokenizer(const std::string& name);

// Bytes of a hex string.
std::string from_hex(const std::string& hex);

}  // namespace striate::test

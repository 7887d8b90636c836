#include "tests/text/reference_tokenizers.h"

#include <fstream>
#include <map>
#include <stdexcept>

#include "striate/base/files.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

// Phi-3 as of April 2024: the same vocabulary, its own added tokens, BOS.
std::shared_ptr<const Tokenizer> phi3_orig() {
  const TemporaryFolder folder;
  nlohmann::json document = nlohmann::json::parse(read_file(tokenizer_path("phi3/tokenizer.json")));
  nlohmann::json added = nlohmann::json::parse(read_file(tokenizer_path("phi3/added_tokens_orig.json")));
  document["added_tokens"] = added.is_object() ? added.at("added_tokens") : added;
  write_file(folder.path() / "tokenizer.json", document.dump());
  write_file(folder.path() / "tokenizer_config.json",
             R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "bos_token": "<s>",
                 "eos_token": "<|endoftext|>"})");
  return load_tokenizer(folder.path());
}

std::shared_ptr<const Tokenizer> load(const std::string& name) {
  if (name == "llama2") return load_tokenizer(tokenizer_path("llama2/tokenizer.model"));
  if (name == "llama2_legacy") return load_tokenizer(tokenizer_path("llama2/tokenizer.model"), {.legacy = true});
  if (name == "llama2_json") return load_tokenizer(tokenizer_path("llama2/tokenizer.json"));
  if (name == "llama3_ranks") return load_tokenizer(tokenizer_path("llama3/tokenizer.model"));
  if (name == "phi3_orig") return phi3_orig();
  if (name == "llama3" || name == "phi3" || name == "phi2") return load_tokenizer(tokenizer_path(name));
  throw std::invalid_argument("no reference tokenizer '" + name + "'");
}

}  // namespace

nlohmann::json reference_json(const std::string& name) {
  return nlohmann::json::parse(read_file(testdata().value() / name));
}

std::filesystem::path tokenizer_path(const std::string& name) {
  return testdata().value() / "tokenizers" / name;
}

std::shared_ptr<const Tokenizer> reference_tokenizer(const std::string& name) {
  static std::map<std::string, std::shared_ptr<const Tokenizer>> opened;
  auto& tokenizer = opened[name];
  if (!tokenizer) tokenizer = load(name);
  return tokenizer;
}

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
  }
  return bytes;
}

}  // namespace striate::test

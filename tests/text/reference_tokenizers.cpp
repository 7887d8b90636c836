#include "tests/text/reference_tokenizers.h"

#include <algorithm>
#include <cstring>
#include <map>

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

std::shared_ptr<const Tokenizer> from_ranks(const std::filesystem::path& file) {
  const TemporaryFolder folder;
  write_file(folder.path() / "tokenizer.model", full_ranks(read_file(file)));
  return load_tokenizer(folder.path() / "tokenizer.model");
}

std::shared_ptr<const Tokenizer> load(const std::string& name) {
  if (name == "phi3_orig") return phi3_orig();
  const std::filesystem::path folder = tokenizer_path(folder_of(name));
  if (name.starts_with("llama2") && name.ends_with("_json")) return load_tokenizer(folder / "tokenizer.json");
  if (name.starts_with("llama2")) {
    return load_tokenizer(folder / "tokenizer.model", {.legacy = name.ends_with("_legacy")});
  }
  if (name.ends_with("_ranks")) return from_ranks(folder / "tokenizer.model");
  return load_tokenizer(folder);
}

}  // namespace

nlohmann::json reference_json(const std::string& name) {
  return nlohmann::json::parse(read_file(testdata(name)));
}

std::filesystem::path tokenizer_path(const std::string& name) {
  return testdata("tokenizers/" + name);
}

std::string folder_of(const std::string& tokenizer) {
  for (const char* form : {"_legacy", "_json", "_ranks", "_orig"}) {
    if (tokenizer.ends_with(form)) return tokenizer.substr(0, tokenizer.size() - std::strlen(form));
  }
  return tokenizer;
}

std::vector<std::string> all_tokenizers() {
  const std::string names[] = {
      "llama2_style", "llama2_style_legacy", "llama2_style_json", "llama3_style", "phi3", "phi3_orig", "phi2",
      "llama2",       "llama2_legacy",       "llama2_json",       "llama3"};
  return with_tokenizers<std::string>(names, [](const std::string& name) { return name; });
}

std::string full_ranks(std::string ranks) {
  static const char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (!ranks.empty() && ranks.back() != '\n') ranks += '\n';
  for (std::int64_t rank = std::count(ranks.begin(), ranks.end(), '\n'); rank < kLlama3Ranks; ++rank) {
    ranks += "////";  // base64 of FF FF FF; the rank itself makes the token unlike the others
    for (const int shift : {18, 12, 6, 0}) ranks += kDigits[(rank >> shift) & 63];
    ranks += " " + std::to_string(rank) + "\n";
  }
  return ranks;
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

#include "striate/model/tokenizer_copy.h"

#include <map>
#include <nlohmann/json.hpp>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/text/tokenizer.h"
#include "striate/text/tokenizer_files.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kTokenizerFiles[] = {
    "tokenizer.model",   "tokenizer.json",          "vocab.json",          "merges.txt",        "tokenizer_config.json",
    "added_tokens.json", "special_tokens_map.json", "chat_template.jinja", "chat_template.json"};

void copy_folder(const fs::path& source, const fs::path& folder) {
  for (const char* name : kTokenizerFiles) {
    for (const char* packed : {"", ".gz"}) {
      const fs::path from = source / cat(name, packed);
      if (!is_file(from)) continue;
      write_file(OutputPath::inside(folder, name), read_tokenizer_file(from));
      break;
    }
  }
  if (!path_exists(folder / "tokenizer.model") && !path_exists(folder / "tokenizer.json")) {
    throw invalid_input(source.string() + ": the folder has neither tokenizer.model nor tokenizer.json",
                        "give a folder or file that holds a tokenizer");
  }
}

void copy_files(const fs::path& source, const fs::path& folder) {
  if (is_folder(source)) return copy_folder(source, folder);
  const std::string bytes = read_tokenizer_file(source);
  const bool is_json = trim(std::string_view(bytes).substr(0, 64)).starts_with('{');
  write_file(OutputPath::inside(folder, is_json ? "tokenizer.json" : "tokenizer.model"), bytes);
}

// The id the tokenizer itself names, else that of the first of `names` in its vocabulary: a lone tokenizer.json does
// not say which of its tokens begins and ends a text.
std::optional<std::int64_t> id_or_named(const Tokenizer& tokenizer, std::optional<std::int64_t> id,
                                        std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (!id) id = tokenizer.token_to_id(name);
  }
  return id;
}

TokenizerFit fit_of(const Tokenizer& tokenizer) {
  TokenizerFit fit;
  fit.description = tokenizer.description();
  fit.used_ids = tokenizer.vocab_size();
  fit.bos_id = id_or_named(tokenizer, tokenizer.bos_id(), {"<s>", "<|begin_of_text|>"});
  const auto eos = id_or_named(tokenizer, tokenizer.eos_id(), {"<|end_of_text|>", "<|endoftext|>", "</s>"});
  if (eos) fit.eos_ids.push_back(*eos);
  // Phi-3 and Llama-3 end a turn with a token of its own, which their generation_config lists too.
  for (const char* name : {"<|end|>", "<|eot_id|>"}) {
    const auto id = tokenizer.token_to_id(name);
    if (id && id != eos) fit.eos_ids.push_back(*id);
  }
  fit.pad_id = tokenizer.pad_id();
  return fit;
}

void write_json(const fs::path& folder, const char* name, const json& contents) {
  write_file(OutputPath::inside(folder, name), contents.dump(2) + "\n");
}

// What Hugging Face needs beside a vocabulary that came alone.
void add_settings(const fs::path& folder, const Tokenizer& tokenizer, const TokenizerFit& fit) {
  if (path_exists(folder / "tokenizer_config.json")) return;
  const bool sentencepiece = !path_exists(folder / "tokenizer.json");
  if (sentencepiece && !tokenizer.description().starts_with("sentencepiece")) return;  // tiktoken ranks
  json config = {{"clean_up_tokenization_spaces", false}, {"model_max_length", 2048}};
  config["tokenizer_class"] = sentencepiece ? "LlamaTokenizer" : "PreTrainedTokenizerFast";
  if (fit.bos_id) config["bos_token"] = tokenizer.id_to_token(*fit.bos_id);
  if (!fit.eos_ids.empty()) config["eos_token"] = tokenizer.id_to_token(fit.eos_ids.front());
  if (sentencepiece) {
    if (tokenizer.token_to_id("<unk>")) config["unk_token"] = "<unk>";
    config["legacy"] = false;
    config["add_bos_token"] = true;
    config["add_eos_token"] = false;
  }
  write_json(folder, "tokenizer_config.json", config);
}

json added_token(const std::string& content) {
  return {{"content", content}, {"lstrip", false},      {"normalized", false},
          {"rstrip", false},    {"single_word", false}, {"special", true}};
}

json added_token(const AddedToken& token) {
  return {{"content", token.content}, {"lstrip", token.lstrip},           {"normalized", token.normalized},
          {"rstrip", token.rstrip},   {"single_word", token.single_word}, {"special", token.special}};
}

using NewTokens = std::map<std::int64_t, std::string>;

void add_to_tokenizer_json(const fs::path& folder, const NewTokens& tokens, json& decoder) {
  const fs::path path = folder / "tokenizer.json";
  json root = read_json_file(path, kTokenizerJson);
  json& list = root["added_tokens"];
  if (list.is_null()) list = json::array();
  if (!list.is_array())
    throw corrupt_data(path.string() + ": \"added_tokens\" is not a list", "download the file again");
  for (json entry : list) {
    if (!entry.is_object() || !entry.contains("id") || !entry["id"].is_number_integer()) {
      throw corrupt_data(path.string() + ": an added token has no id", "download the file again");
    }
    const std::string id = std::to_string(entry["id"].get<std::int64_t>());
    entry.erase("id");
    decoder.emplace(id, std::move(entry));
  }
  for (const auto& [id, content] : tokens) {
    json entry = added_token(content);
    entry["id"] = id;
    list.push_back(std::move(entry));
  }
  write_file(OutputPath::inside(folder, "tokenizer.json"), root.dump());
}

// Puts new special tokens into every file that Hugging Face might read them from.
void add_tokens(const fs::path& folder, const Tokenizer& before, const NewTokens& tokens, const std::string& pad) {
  json decoder = json::object();
  for (const AddedToken& token : read_tokenizer_settings(folder).added) {
    decoder[std::to_string(token.id)] = added_token(token);
  }
  const bool fast = path_exists(folder / "tokenizer.json");
  if (fast) add_to_tokenizer_json(folder, tokens, decoder);
  if (!fast) {
    for (const char* name : {"<unk>", "<s>", "</s>"}) {
      if (const auto id = before.token_to_id(name)) decoder.emplace(std::to_string(*id), added_token(name));
    }
  }
  const fs::path added_path = folder / "added_tokens.json";
  json added = path_exists(added_path) ? read_json_file(added_path) : json::object();
  for (const auto& [id, content] : tokens) {
    decoder[std::to_string(id)] = added_token(content);
    added[content] = id;
  }
  write_json(folder, "added_tokens.json", added);
  json config = read_json_file(folder / "tokenizer_config.json");
  config["added_tokens_decoder"] = decoder;
  config["pad_token"] = pad;
  config["processor_class"] = "LlavaProcessor";
  write_json(folder, "tokenizer_config.json", config);
  const fs::path map = folder / "special_tokens_map.json";
  if (!path_exists(map)) return;
  json names = read_json_file(map);
  names["pad_token"] = pad;
  write_json(folder, "special_tokens_map.json", names);
}

// Makes the files in `folder`, which came from `source`, what a model of ours needs.
TokenizerFit complete(const std::string& source, const fs::path& folder, bool image_tokens) {
  const auto tokenizer = load_tokenizer(folder);
  TokenizerFit fit = fit_of(*tokenizer);
  add_settings(folder, *tokenizer, fit);
  if (!image_tokens) return fit;
  if (!path_exists(folder / "tokenizer_config.json")) {
    throw unsupported(source + ": \"<image>\" cannot be added to a tiktoken rank file",
                      "give the model's tokenizer.json");
  }
  std::int64_t next = tokenizer->vocab_size();
  NewTokens tokens;
  if (!tokenizer->token_to_id("<image>")) tokens[next++] = "<image>";
  const std::string pad = fit.pad_id ? tokenizer->id_to_token(*fit.pad_id) : "<pad>";
  if (!tokenizer->token_to_id(pad)) tokens[next++] = pad;
  add_tokens(folder, *tokenizer, tokens, pad);
  const auto fitted = load_tokenizer(folder);
  for (const auto& [id, content] : tokens) {
    if (fitted->token_to_id(content) != id) {
      throw internal_error(cat(source, ": \"", content, "\" did not become token ", id));
    }
  }
  fit = fit_of(*fitted);
  fit.image_id = fitted->token_to_id("<image>");
  fit.pad_id = fitted->token_to_id(pad);
  return fit;
}

}  // namespace

TokenizerFit copy_tokenizer(const fs::path& source, const fs::path& folder, bool image_tokens) {
  copy_files(source, folder);
  return complete(source.string(), folder, image_tokens);
}

TokenizerFit write_tokenizer(std::string_view model, const fs::path& folder, bool image_tokens) {
  write_file(OutputPath::inside(folder, "tokenizer.model"), model);
  return complete((folder / "tokenizer.model").string(), folder, image_tokens);
}

}  // namespace striate

// tokenizer.json, the file of Hugging Face's `tokenizers` library.
#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/bpe_tokenizer.h"
#include "striate/text/json_fields.h"

namespace striate {
namespace {

constexpr const char* kDamaged = "the file is damaged: download it again";

AddedToken read_added_token(const Json& entry, const std::string& where) {
  AddedToken token;
  token.id = json_token_id(json_field(entry, "id", where), where + ".id");
  token.content = json_string(entry, "content", where);
  token.special = json_bool(entry, "special", false, where);
  token.normalized = json_bool(entry, "normalized", !token.special, where);
  token.single_word = json_bool(entry, "single_word", false, where);
  token.lstrip = json_bool(entry, "lstrip", false, where);
  token.rstrip = json_bool(entry, "rstrip", false, where);
  return token;
}

Vocabulary read_vocabulary(const Json& model, const std::string& where) {
  const Json& entries = json_field(model, "vocab", where);
  if (!entries.is_object())
    throw corrupt_data(cat(where, ": 'vocab' is ", entries.type_name(), ", not an object"), kDamaged);
  Vocabulary vocabulary;
  vocabulary.reserve(entries.size());
  for (const auto& [token, id] : entries.items()) {
    vocabulary.emplace(token, static_cast<std::int32_t>(json_token_id(id, cat(where, ".vocab['", token, "']"))));
  }
  return vocabulary;
}

// "a b" or ["a", "b"].
std::pair<std::string, std::string> read_pair(const Json& entry, const std::string& where) {
  if (entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string()) {
    return {entry[0].get<std::string>(), entry[1].get<std::string>()};
  }
  if (entry.is_string()) {
    const auto& text = entry.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  throw corrupt_data(cat(where, ": not a pair of tokens"), kDamaged);
}

std::vector<BpeMerge> read_merges(const Json& model, const Vocabulary& vocabulary, const std::string& where) {
  const Json& entries = json_array(model, "merges", where);
  std::vector<BpeMerge> merges;
  merges.reserve(entries.size());
  std::size_t line = 0;
  for (const Json& entry : entries) {
    const std::string at = cat(where, ".merges[", line++, "]");
    if (entry.is_string() && entry.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = read_pair(entry, at);
    const auto id_of = [&](const std::string& token) {
      const auto found = vocabulary.find(token);
      if (found == vocabulary.end()) throw corrupt_data(cat(at, ": '", token, "' is not in the vocabulary"), kDamaged);
      return found->second;
    };
    const std::int32_t left_id = id_of(left);
    const std::int32_t right_id = id_of(right);
    merges.push_back({left_id, right_id, id_of(left + right), static_cast<std::int32_t>(merges.size())});
  }
  return merges;
}

void read_model(const Json& model, const std::string& where, BpeTokenizerParts& parts) {
  const std::string type = json_optional_string(model, "type", where).value_or("BPE");
  if (type != "BPE") {
    throw unsupported(cat(where, ": model '", type, "' is not implemented"), "Striate reads BPE tokenizers");
  }
  const Json& dropout = json_field(model, "dropout", where);
  if (dropout.is_number() && dropout.get<double>() != 0) {
    throw unsupported(cat(where, ": BPE dropout is not implemented"), "set \"dropout\" to null");
  }
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!json_optional_string(model, affix, where).value_or("").empty()) {
      throw unsupported(cat(where, ": '", affix, "' is not implemented"),
                        "Striate reads the tokenizers of Llama, Phi and GPT-2");
    }
  }
  parts.vocabulary = read_vocabulary(model, where);
  parts.merges = read_merges(model, parts.vocabulary, where);
  parts.options.byte_fallback = json_bool(model, "byte_fallback", false, where);
  parts.options.fuse_unk = json_bool(model, "fuse_unk", false, where);
  parts.options.ignore_merges = json_bool(model, "ignore_merges", false, where);
  if (const auto unk = json_optional_string(model, "unk_token", where)) {
    const auto found = parts.vocabulary.find(*unk);
    if (found == parts.vocabulary.end())
      throw corrupt_data(cat(where, ": unk_token '", *unk, "' is not in the vocabulary"), kDamaged);
    parts.options.unk = found->second;
  }
}

std::int64_t next_free_id(const BpeTokenizerParts& parts) {
  std::int64_t next = 0;
  for (const auto& [token, id] : parts.vocabulary) next = std::max<std::int64_t>(next, id + 1);
  for (const AddedToken& token : parts.added) next = std::max(next, token.id + 1);
  return next;
}

// The library gives added tokens their ids itself and only warns where the file says otherwise; a file whose ids it
// would change is refused here, since nothing would tell which of the two the model was trained with.
void read_added(const Json& document, const std::string& where, BpeTokenizerParts& parts) {
  auto next = static_cast<std::int64_t>(parts.vocabulary.size());
  int index = 0;
  for (const Json& entry : json_array(document, "added_tokens", where)) {
    const std::string at = cat(where, ": added_tokens[", index++, "]");
    AddedToken token = read_added_token(entry, at);
    if (token.content.empty()) continue;
    const auto known = parts.vocabulary.find(token.content);
    const auto again = std::find_if(parts.added.begin(), parts.added.end(),
                                    [&](const AddedToken& other) { return other.content == token.content; });
    const std::int64_t id = known != parts.vocabulary.end() ? known->second
                            : again != parts.added.end()    ? again->id
                                                            : next;
    if (id != token.id) {
      throw corrupt_data(cat(at, ": '", token.content, "' has the id ", token.id, ", but its position makes it ", id),
                         "put added_tokens in the order of their ids, without gaps");
    }
    if (again != parts.added.end()) {
      *again = token;
      continue;
    }
    next = std::max(next, id + 1);
    parts.added.push_back(std::move(token));
  }
}

// Tokens that stand before the text in a TemplateProcessing's "single".
void read_template(const Json& processor, const std::string& where, std::vector<std::int64_t>& first_ids) {
  const Json& known = json_field(processor, "special_tokens", where);
  for (const Json& piece : json_array(processor, "single", where)) {
    if (!piece.is_object() || piece.contains("Sequence")) return;
    const Json& special = json_field(piece, "SpecialToken", where);
    const std::string name = json_string(special, "id", where + ".single");
    const Json& entry = json_field(known, name.c_str(), where + ".special_tokens");
    for (const Json& id : json_array(entry, "ids", where + ".special_tokens")) {
      first_ids.push_back(json_token_id(id, where + ".special_tokens"));
    }
  }
}

void read_post_processor(const Json& processor, const std::string& where, std::vector<std::int64_t>& first_ids) {
  if (processor.is_null()) return;
  const std::string type = json_string(processor, "type", where);
  if (type == "TemplateProcessing") {
    read_template(processor, where, first_ids);
  } else if (type == "Sequence") {
    for (const Json& inner : json_array(processor, "processors", where)) {
      if (inner.is_object() && inner.value("type", Json()) == Json("Sequence")) {
        throw unsupported(cat(where, ": a Sequence inside a Sequence is not implemented"),
                          "Striate knows TemplateProcessing and ByteLevel");
      }
      read_post_processor(inner, where, first_ids);
    }
  } else if (type != "ByteLevel") {  // ByteLevel moves offsets only
    throw unsupported(cat(where, ": post-processor '", type, "' is not implemented"),
                      "Striate knows TemplateProcessing and ByteLevel");
  }
}

std::optional<std::int64_t> find_id(const BpeTokenizerParts& parts, const std::optional<std::string>& token) {
  if (!token) return std::nullopt;
  for (const AddedToken& added : parts.added) {
    if (added.content == *token) return added.id;
  }
  const auto found = parts.vocabulary.find(*token);
  if (found == parts.vocabulary.end()) return std::nullopt;
  return found->second;
}

// As Hugging Face's fast tokenizers: what tokenizer_config.json says of a token goes over what tokenizer.json says, and
// tokens only it knows are added.
void apply_settings(const TokenizerSettings& settings, const std::string& where, BpeTokenizerParts& parts) {
  for (const AddedToken& token : settings.added) {
    const auto same = std::find_if(parts.added.begin(), parts.added.end(),
                                   [&](const AddedToken& other) { return other.content == token.content; });
    const bool is_new = same == parts.added.end();
    const auto in_vocabulary = parts.vocabulary.find(token.content);
    const std::int64_t id = !is_new                                   ? same->id
                            : in_vocabulary != parts.vocabulary.end() ? in_vocabulary->second
                                                                      : next_free_id(parts);
    if (id != token.id && !(is_new && in_vocabulary == parts.vocabulary.end() && token.id > id)) {
      throw corrupt_data(cat(where, ": token '", token.content, "' has id ", id, " here and ", token.id,
                             " in the settings next to it"),
                         "the tokenizer's files do not match");
    }
    if (is_new) {
      parts.added.push_back(token);
    } else {
      *same = token;
    }
  }
  parts.bos = find_id(parts, settings.bos);
  parts.eos = find_id(parts, settings.eos);
  parts.pad = find_id(parts, settings.pad);
  if (!parts.bos && !parts.first_ids.empty()) parts.bos = parts.first_ids.front();
  // Only Llama's classes heed add_bos_token; it then goes over the template.
  if (settings.add_bos_token && settings.tokenizer_class.starts_with("LlamaTokenizer")) {
    parts.first_ids.clear();
    if (*settings.add_bos_token && parts.bos) parts.first_ids.push_back(*parts.bos);
  }
  if (!parts.eos) parts.eos = settings.generation_eos;
  for (const char* usual : {"<|end_of_text|>", "<|endoftext|>", "</s>"}) {
    if (!parts.eos) parts.eos = find_id(parts, usual);
  }
}

}  // namespace

std::shared_ptr<const Tokenizer> parse_tokenizer_json(std::string_view text, const TokenizerSettings& settings,
                                                      const std::string& where) {
  const Json document = parse_json_object(text, where);
  BpeTokenizerParts parts;
  const Json& model = json_field(document, "model", where);
  if (!model.is_object()) {
    throw corrupt_data(cat(where, ": no 'model': this is not a tokenizer.json"), "check that it is the right file");
  }
  read_model(model, where + ": model", parts);
  read_added(document, where, parts);
  parts.normalizer = Normalizer::from_json(json_field(document, "normalizer", where), where + ": normalizer");
  parts.pre_tokenizer =
      PreTokenizer::from_json(json_field(document, "pre_tokenizer", where), where + ": pre_tokenizer");
  require_growth(parts.normalizer.growth() * parts.pre_tokenizer.growth(), where);
  parts.options.byte_level = parts.pre_tokenizer.byte_level();
  parts.decoder = TokenDecoder::from_json(json_field(document, "decoder", where), where + ": decoder");
  read_post_processor(json_field(document, "post_processor", where), where + ": post_processor", parts.first_ids);
  apply_settings(settings, where, parts);
  return make_bpe_tokenizer(std::move(parts), where);
}

bool normalizes_special_tokens(std::string_view text, const std::string& where) {
  const Json document = parse_json_object(text, where);
  if (json_field(document, "normalizer", where).is_null()) return false;
  for (const Json& entry : json_array(document, "added_tokens", where)) {
    if (json_bool(entry, "special", false, where) && json_bool(entry, "normalized", false, where)) return true;
  }
  return false;
}

}  // namespace striate

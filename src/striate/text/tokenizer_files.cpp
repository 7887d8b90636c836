#include "striate/text/tokenizer_files.h"

#include <zlib.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/text/json_fields.h"

namespace striate {
namespace {

constexpr std::uint64_t kLargestSettingsFile = std::uint64_t{64} << 20;
constexpr std::string_view kGzipMagic = "\x1F\x8B";

class Inflater {
 public:
  Inflater() {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream& stream() { return stream_; }

 private:
  z_stream stream_{};
};

std::string unpack(const std::string& packed, const std::string& where) {
  Inflater inflater;
  z_stream& stream = inflater.stream();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string out;
  std::string block(std::size_t{1} << 18, '\0');
  while (true) {
    stream.next_out = reinterpret_cast<Bytef*>(block.data());
    stream.avail_out = static_cast<uInt>(block.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    out.append(block, 0, block.size() - stream.avail_out);
    if (out.size() > kLargestTokenizerFile) {
      throw corrupt_data(cat(where, ": unpacks to more than ", human_bytes(kLargestTokenizerFile)),
                         "check that it is the right file");
    }
    if (status == Z_STREAM_END) return out;
    if (status == Z_BUF_ERROR || (status == Z_OK && stream.avail_in == 0 && stream.avail_out != 0)) {
      throw corrupt_data(cat(where, ": the gzip data is cut short"), "download the file again");
    }
    if (status != Z_OK) throw corrupt_data(cat(where, ": damaged gzip data"), "download the file again");
  }
}

// "…" or {"content": "…"}.
std::optional<std::string> token_text(const Json& settings, const char* key, const std::string& where) {
  const Json& value = json_field(settings, key, where);
  if (value.is_object()) return json_string(value, "content", cat(where, ".", key));
  return json_optional_string(settings, key, where);
}

void read_names(const Json& settings, const std::string& where, TokenizerSettings& found) {
  const auto fill = [&](const char* key, std::optional<std::string>& name) {
    if (!name) name = token_text(settings, key, where);
  };
  fill("bos_token", found.bos);
  fill("eos_token", found.eos);
  fill("unk_token", found.unk);
  fill("pad_token", found.pad);
  const Json& more = json_array(settings, "additional_special_tokens", where);
  for (const Json& token : more) {
    const std::string name = token.is_string() ? token.get<std::string>() : json_string(token, "content", where);
    found.additional_special.push_back(name);
  }
}

void read_config(const std::string& text, const std::string& where, TokenizerSettings& found) {
  const Json config = parse_json_object(text, where);
  found.tokenizer_class = json_optional_string(config, "tokenizer_class", where).value_or("");
  if (!json_field(config, "legacy", where).is_null()) found.legacy = json_bool(config, "legacy", false, where);
  if (!json_field(config, "add_bos_token", where).is_null()) {
    found.add_bos_token = json_bool(config, "add_bos_token", false, where);
  }
  if (!json_field(config, "add_prefix_space", where).is_null()) {
    found.add_prefix_space = json_bool(config, "add_prefix_space", true, where);
  }
  read_names(config, where, found);
  const Json& added = json_field(config, "added_tokens_decoder", where);
  if (added.is_null()) return;
  if (!added.is_object())
    throw corrupt_data(cat(where, ": 'added_tokens_decoder' is not an object"),
                       "the file is damaged: download it again");
  for (const auto& [key, entry] : added.items()) {
    const std::string at = cat(where, ".added_tokens_decoder['", key, "']");
    const bool digits = !key.empty() && key.size() < 10 &&
                        std::all_of(key.begin(), key.end(), [](char c) { return c >= '0' && c <= '9'; });
    AddedToken token;
    token.id = json_token_id(digits ? Json(std::stoll(key)) : Json(key), at);
    token.content = json_string(entry, "content", at);
    token.special = json_bool(entry, "special", false, at);
    token.normalized = json_bool(entry, "normalized", !token.special, at);
    token.single_word = json_bool(entry, "single_word", false, at);
    token.lstrip = json_bool(entry, "lstrip", false, at);
    token.rstrip = json_bool(entry, "rstrip", false, at);
    found.added.push_back(std::move(token));
  }
}

bool is_named_special(const TokenizerSettings& settings, const std::string& token) {
  return token == settings.bos || token == settings.eos || token == settings.unk || token == settings.pad ||
         std::find(settings.additional_special.begin(), settings.additional_special.end(), token) !=
             settings.additional_special.end();
}

// {"<image>": 32000}: the older form, which says nothing but the id.
void read_added(const std::string& text, const std::string& where, TokenizerSettings& found) {
  const Json added = parse_json_object(text, where);
  for (const auto& [content, id] : added.items()) {
    AddedToken token;
    token.id = json_token_id(id, cat(where, "['", content, "']"));
    token.content = content;
    token.special = is_named_special(found, content);
    token.normalized = !token.special;
    found.added.push_back(std::move(token));
  }
}

void read_generation(const std::string& text, const std::string& where, TokenizerSettings& found) {
  const Json config = parse_json_object(text, where);
  const Json& eos = json_field(config, "eos_token_id", where);
  const Json& first = eos.is_array() && !eos.empty() ? eos.front() : eos;
  if (first.is_number()) found.generation_eos = json_token_id(first, where + ".eos_token_id");
}

}  // namespace

TokenizerSettings read_tokenizer_settings(const std::filesystem::path& folder) {
  TokenizerSettings settings;
  const auto read = [&](const char* name, auto&& reader) {
    const std::filesystem::path path = folder / name;
    if (path_exists(path)) reader(read_file(path, kLargestSettingsFile), path.string());
  };
  read("tokenizer_config.json",
       [&](const std::string& text, const std::string& at) { read_config(text, at, settings); });
  read("special_tokens_map.json",
       [&](const std::string& text, const std::string& at) { read_names(parse_json_object(text, at), at, settings); });
  // As Hugging Face: added_tokens.json counts only where tokenizer_config.json has no added_tokens_decoder.
  if (settings.added.empty()) {
    read("added_tokens.json", [&](const std::string& text, const std::string& at) { read_added(text, at, settings); });
  }
  read("generation_config.json",
       [&](const std::string& text, const std::string& at) { read_generation(text, at, settings); });
  std::sort(settings.added.begin(), settings.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return settings;
}

std::string read_tokenizer_file(const std::filesystem::path& path) {
  std::string bytes = read_file(path, kLargestTokenizerFile);
  return bytes.starts_with(kGzipMagic) ? unpack(bytes, path.string()) : bytes;
}

}  // namespace striate

#include "striate/text/token_decoder.h"

#include <cctype>

#include "striate/base/strings.h"
#include "striate/text/bpe.h"
#include "striate/text/components.h"
#include "striate/text/pipeline.h"
#include "striate/text/utf8.h"

namespace striate {

TokenDecoder TokenDecoder::from_json(const Json& component, const std::string& where) {
  TokenDecoder decoder;
  for_each_component(component, "decoders", where,
                     [&](const Json& step, const std::string& at) { decoder.add(step, at); });
  return decoder;
}

TokenDecoder TokenDecoder::byte_level() {
  TokenDecoder decoder;
  decoder.kind_ = Kind::kByteLevel;
  return decoder;
}

void TokenDecoder::add(const Json& component, const std::string& where) {
  const std::string type = json_string(component, "type", where);
  const bool alone = type == "ByteLevel" || type == "Metaspace";
  if (kind_ == Kind::kByteLevel || kind_ == Kind::kMetaspace || (alone && kind_ != Kind::kJoin)) {
    throw not_implemented(where, cat("decoder '", type, "' together with others"));
  }
  kind_ = type == "ByteLevel" ? Kind::kByteLevel : type == "Metaspace" ? Kind::kMetaspace : Kind::kChain;
  if (type == "ByteLevel") return;
  if (type == "Metaspace") {
    mark_ = json_string(component, "replacement", where);
    drop_first_marks_ = prepend_scheme(component, where) != "never";
  } else if (type == "Replace" && !fused_ && !byte_fallback_) {
    replacements_.emplace_back(literal_pattern(component, where), json_string(component, "content", where));
    double growth = 1;
    for (const auto& [pattern, content] : replacements_) growth *= growth_of(pattern, content);
    require_growth(growth, where);
  } else if (type == "ByteFallback" && !fused_) {
    byte_fallback_ = true;
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Strip" && fused_ && strip_count_ == 0) {
    const std::string content = json_string(component, "content", where);
    if (content.size() != 1) throw not_implemented(where, cat("Strip of '", content, "'"));
    if (json_token_id(json_field(component, "stop", where), where + ".stop") != 0) {
      throw not_implemented(where, "Strip from the right");
    }
    strip_content_ = content[0];
    strip_count_ = static_cast<std::size_t>(json_token_id(json_field(component, "start", where), where + ".start"));
  } else {
    throw not_implemented(where, cat("decoder '", type, "' at this place of a sequence"));
  }
}

std::string TokenDecoder::bytes(std::string_view token, bool first) const {
  switch (kind_) {
    case Kind::kJoin:
      return first ? std::string(token) : cat(" ", token);
    case Kind::kMetaspace:
      return replace_all(token, mark_, first && drop_first_marks_ ? "" : " ");
    case Kind::kChain: {
      std::string text(token);
      for (const auto& [pattern, content] : replacements_) text = replace_all(text, pattern, content);
      const auto digit = [&](std::size_t at) {
        return std::string_view("0123456789ABCDEF")
            .find(static_cast<char>(std::toupper(static_cast<unsigned char>(text[at]))));
      };
      if (byte_fallback_ && text.size() == 6 && text.starts_with("<0x") && text[5] == '>' &&
          digit(3) != std::string_view::npos && digit(4) != std::string_view::npos) {
        return std::string(1, static_cast<char>(digit(3) * 16 + digit(4)));
      }
      return text;
    }
    case Kind::kByteLevel:
      break;
  }
  // A token with a character outside the alphabet (an added token) stands for itself.
  std::string raw;
  for (std::size_t at = 0; at < token.size();) {
    const Utf8Character next = utf8_at(token, at);
    const int byte = next.valid ? byte_level_byte(next.code) : -1;
    if (byte < 0) return std::string(token);
    raw += static_cast<char>(byte);
    at += next.size;
  }
  return raw;
}

}  // namespace striate

#include "striate/text/token_lines.h"

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::size_t kFewLines = 64;  // not worth a thread

// The text as a JSON string, in UTF-8 except for the characters that some readers take for the end of a line.
std::string json_line_string(const std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kLineEnds[] = {
      {"\xC2\x85", "\\u0085"}, {"\xE2\x80\xA8", "\\u2028"}, {"\xE2\x80\xA9", "\\u2029"}};
  std::string out = nlohmann::json(text).dump();
  for (const auto& [character, escape] : kLineEnds) {
    for (std::size_t at = 0; (at = out.find(character, at)) != std::string::npos; at += escape.size()) {
      out.replace(at, character.size(), escape);
    }
  }
  return out;
}

std::string text_of_line(std::string_view line, const std::string& where) {
  const char* const hint = "every line must be a JSON object such as {\"text\": \"Hello\"}";
  const std::optional<nlohmann::json> parsed = try_parse_json(line);
  if (!parsed) throw invalid_input(where + ": not valid JSON", hint);
  if (!parsed->is_object()) throw invalid_input(cat(where, ": ", parsed->type_name(), " instead of an object"), hint);
  const auto text = parsed->find("text");
  if (text == parsed->end()) throw invalid_input(where + ": no \"text\"", hint);
  if (!text->is_string()) throw invalid_input(cat(where, ": \"text\" is ", text->type_name(), ", not a string"), hint);
  return text->get<std::string>();
}

}  // namespace

// A run of lines, encoded, and what stopped it.
struct TokenLines::Encoded {
  std::string out;
  std::exception_ptr failure;
};

TokenLines::TokenLines(TokenizeRequest request) : request_(std::move(request)) {
  TokenizerOptions options;
  options.legacy = request_.legacy;
  tokenizer_ = load_tokenizer(request_.tokenizer, options);
  if (request_.legacy && !tokenizer_->description().starts_with("sentencepiece")) {
    throw invalid_input(
        cat("`legacy` does not apply: ", request_.tokenizer.string(), " is ", tokenizer_->description()),
        "`legacy` is for a sentencepiece tokenizer.model; leave it out");
  }
}

std::string TokenLines::encode_line(std::string_view line, std::size_t number) const {
  EncodeOptions options;
  options.add_bos = request_.bos;
  const std::vector<std::int64_t> ids =
      tokenizer_->encode(text_of_line(line, cat(request_.source, ", line ", number)), options);
  std::string out = "{\"ids\": [";
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(ids[i]);
  }
  out += "], \"text\": ";
  out += json_line_string(to_valid_utf8(tokenizer_->decode(ids)));
  return out += "}\n";
}

TokenLines::Encoded TokenLines::encode_share(const std::vector<std::string_view>& lines, std::size_t from,
                                             std::size_t to, std::size_t first_number) const {
  Encoded encoded;
  try {
    for (std::size_t i = from; i < to; ++i) encoded.out += encode_line(lines[i], first_number + i);
  } catch (...) {
    encoded.failure = std::current_exception();
  }
  return encoded;
}

void TokenLines::encode(const std::vector<std::string_view>& lines, std::size_t first_number,
                        const std::function<void(const std::string& lines)>& out) const {
  const std::size_t cores = std::max(1u, std::thread::hardware_concurrency());
  const std::size_t shares = std::clamp<std::size_t>(lines.size() / kFewLines, 1, cores);
  std::vector<Encoded> results(shares);
  const auto work = [&](std::size_t share) {
    results[share] =
        encode_share(lines, lines.size() * share / shares, lines.size() * (share + 1) / shares, first_number);
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t share = 1; share < shares; ++share) threads.emplace_back(work, share);
    work(0);
  }
  for (const Encoded& result : results) {
    out(result.out);
    if (result.failure) std::rethrow_exception(result.failure);
  }
}

}  // namespace striate

// Llama-3's tokenizer.model: tiktoken ranks. Source: meta-llama/llama-models, models/llama3/tokenizer.py.
#include <charconv>

#include "striate/base/base64.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/bpe_tokenizer.h"

namespace striate {
namespace {

constexpr std::int32_t kRanks = 128000;
constexpr int kSpecialTokens = 256;
constexpr const char* kPattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                                 R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kDamagedRanks = "the file is damaged or cut short: download it again";

// The bytes of each rank.
std::vector<std::string> read_ranks(std::string_view text, const std::string& where) {
  std::vector<std::string> ranks;
  ranks.reserve(kRanks);
  for (std::size_t at = 0, line = 1; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view row = trim(text.substr(at, end - at));
    at = end + 1;
    if (row.empty()) continue;
    const std::size_t space = row.find(' ');
    const auto bytes = decode_base64(row.substr(0, std::min(space, row.size())));
    std::int32_t rank = -1;
    if (bytes && space != std::string_view::npos) {
      const auto [stop, error] = std::from_chars(row.data() + space + 1, row.data() + row.size(), rank);
      if (error != std::errc() || stop != row.data() + row.size()) rank = -1;
    }
    if (rank != static_cast<std::int32_t>(ranks.size())) {
      throw corrupt_data(cat(where, ", line ", line, ": not \"base64 rank\" with the rank ", ranks.size()),
                         kDamagedRanks);
    }
    if (rank >= kRanks) break;
    ranks.push_back(*bytes);
  }
  return ranks;
}

std::string byte_level_text(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += byte_level_character(static_cast<unsigned char>(c));
  return text;
}

// tiktoken merges whichever neighbours together are the token of lowest rank: every way to cut a token in two tokens.
std::vector<BpeMerge> merges_of(const std::vector<std::string>& ranks) {
  std::unordered_map<std::string_view, std::int32_t> ids;
  for (std::size_t id = 0; id < ranks.size(); ++id) ids.emplace(ranks[id], static_cast<std::int32_t>(id));
  std::vector<BpeMerge> merges;
  for (std::size_t id = 0; id < ranks.size(); ++id) {
    const std::string_view whole = ranks[id];
    for (std::size_t cut = 1; cut < whole.size(); ++cut) {
      const auto left = ids.find(whole.substr(0, cut));
      const auto right = ids.find(whole.substr(cut));
      if (left == ids.end() || right == ids.end()) continue;
      merges.push_back({left->second, right->second, static_cast<std::int32_t>(id), static_cast<std::int32_t>(id)});
    }
  }
  return merges;
}

std::vector<AddedToken> special_tokens() {
  static const char* const kNamed[] = {"<|begin_of_text|>",   "<|end_of_text|>",   "", "",          "", "",
                                       "<|start_header_id|>", "<|end_header_id|>", "", "<|eot_id|>"};
  std::vector<AddedToken> tokens;
  int reserved = 0;
  for (int i = 0; i < kSpecialTokens; ++i) {
    const bool named = i < static_cast<int>(std::size(kNamed)) && kNamed[i][0] != '\0';
    AddedToken token;
    token.id = kRanks + i;
    token.content = named ? kNamed[i] : cat("<|reserved_special_token_", reserved++, "|>");
    token.special = true;
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace

std::shared_ptr<const Tokenizer> parse_llama3_ranks(std::string_view text, const std::string& where) {
  const std::vector<std::string> ranks = read_ranks(text, where);
  if (ranks.size() != kRanks) {
    throw corrupt_data(cat(where, ": ", ranks.size(), " ranks, where Llama-3's file has ", kRanks), kDamagedRanks);
  }
  BpeTokenizerParts parts;
  for (std::size_t id = 0; id < ranks.size(); ++id) {
    if (!parts.vocabulary.emplace(byte_level_text(ranks[id]), static_cast<std::int32_t>(id)).second) {
      throw corrupt_data(cat(where, ": rank ", id, " repeats an earlier token"), kDamagedRanks);
    }
  }
  parts.merges = merges_of(ranks);
  parts.options.byte_level = true;
  parts.options.ignore_merges = true;
  parts.pre_tokenizer = PreTokenizer::byte_level_split(kPattern);
  parts.decoder = TokenDecoder::byte_level();
  parts.added = special_tokens();
  parts.bos = kRanks;
  parts.eos = kRanks + 1;
  parts.first_ids = {kRanks};
  return make_bpe_tokenizer(std::move(parts), where);
}

}  // namespace striate

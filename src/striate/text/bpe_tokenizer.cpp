#include "striate/text/bpe_tokenizer.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/json_fields.h"
#include "striate/text/utf8.h"

namespace striate {
namespace {

// Offsets inside one text are kept in 32 bits.
constexpr std::size_t kMostBytes = std::size_t{1} << 30;

// "<0x0A>": how vocabularies with byte fallback write a byte.
bool is_byte_name(std::string_view token) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>') &&
         kDigits.find(token[3]) != std::string_view::npos && kDigits.find(token[4]) != std::string_view::npos;
}

class BpeTokenizer : public Tokenizer {
 public:
  BpeTokenizer(BpeTokenizerParts parts, const std::string& where);

  std::vector<TokenSpan> encode_spans(std::string_view text, const EncodeOptions& options) const override;
  std::unique_ptr<PieceDecoder> piece_decoder(bool skip_special) const override;
  std::int64_t vocab_size() const override { return static_cast<std::int64_t>(tokens_.size()); }
  std::optional<std::int64_t> bos_id() const override { return bos_; }
  std::optional<std::int64_t> eos_id() const override { return eos_; }
  std::optional<std::int64_t> pad_id() const override { return pad_; }
  std::optional<std::int64_t> token_to_id(std::string_view token) const override;
  std::string id_to_token(std::int64_t id) const override { return entry(id).text; }
  bool is_special(std::int64_t id) const override { return entry(id).special; }
  bool adds_bos() const override { return !first_ids_.empty(); }
  std::string description() const override {
    return cat(options_.byte_level ? "byte-level BPE, " : "BPE, ", vocab_size(), " tokens");
  }
  VocabularyListing vocabulary() const override;

  struct Entry {
    std::string text;
    std::string form;   // as the decoder sees it: like `tokenizers` 0.23, a normalized added token in that form
    std::string bytes;  // what it decodes to after the first token
    bool present = false;
    bool special = false;
  };
  const Entry& entry(std::int64_t id) const;
  const TokenDecoder& decoder() const { return decoder_; }

 private:
  void add_vocabulary(const Vocabulary& vocabulary, const std::string& where);
  void add_tokens(const std::string& where);
  void encode_plain(std::string_view text, std::size_t begin, bool with_special, std::vector<TokenSpan>& spans) const;
  void encode_words(const NormalizedText& text, std::size_t from, std::size_t to, std::size_t begin,
                    std::vector<TokenSpan>& spans) const;

  BpeOptions options_;
  BpeModel model_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  TokenDecoder decoder_;
  std::vector<AddedToken> added_;
  std::unordered_map<std::string, std::int64_t, StringHash, std::equal_to<>> added_ids_;
  std::vector<Entry> tokens_;
  std::vector<std::int64_t> first_ids_;
  std::optional<std::int64_t> bos_, eos_, pad_;
  std::unique_ptr<AddedTokenSplitter> raw_splitter_;
  std::unique_ptr<AddedTokenSplitter> normalized_splitter_;  // null: no token is looked for in normalised text
};

BpeTokenizer::BpeTokenizer(BpeTokenizerParts parts, const std::string& where)
    : options_(parts.options),
      model_(std::move(parts.vocabulary), parts.merges, parts.options),
      normalizer_(std::move(parts.normalizer)),
      pre_tokenizer_(std::move(parts.pre_tokenizer)),
      decoder_(std::move(parts.decoder)),
      added_(std::move(parts.added)),
      first_ids_(std::move(parts.first_ids)),
      bos_(parts.bos),
      eos_(parts.eos),
      pad_(parts.pad) {
  add_vocabulary(model_.vocabulary(), where);
  add_tokens(where);
  for (Entry& token : tokens_) {
    if (token.form.empty()) token.form = token.text;
    token.bytes = decoder_.bytes(token.form, false);
  }
  const auto check = [&](const std::optional<std::int64_t>& id, const char* name) {
    if (id && (*id >= vocab_size() || !tokens_[static_cast<std::size_t>(*id)].present)) {
      throw corrupt_data(cat(where, ": the ", name, " id ", *id, " is not a token"),
                         "the tokenizer's files do not match");
    }
  };
  check(bos_, "BOS");
  check(eos_, "EOS");
  check(pad_, "padding");
  for (const std::int64_t id : first_ids_) check(id, "template's");
}

void BpeTokenizer::add_vocabulary(const Vocabulary& vocabulary, const std::string& where) {
  std::int64_t largest = -1;
  for (const auto& [text, id] : vocabulary) largest = std::max<std::int64_t>(largest, id);
  for (const AddedToken& token : added_) largest = std::max(largest, token.id);
  tokens_.resize(static_cast<std::size_t>(largest + 1));
  for (const auto& [text, id] : vocabulary) {
    Entry& slot = tokens_[static_cast<std::size_t>(id)];
    if (slot.present) {
      throw corrupt_data(cat(where, ": '", to_valid_utf8(slot.text), "' and '", to_valid_utf8(text), "' share id ", id),
                         "the file is damaged: download it again");
    }
    slot.text = text;
    slot.present = true;
  }
}

void BpeTokenizer::add_tokens(const std::string& where) {
  require_short_tokens(added_, where);
  std::vector<const AddedToken*> raw, normalized;
  std::vector<std::string> raw_patterns, normalized_patterns;
  for (const AddedToken& token : added_) {
    Entry& slot = tokens_[static_cast<std::size_t>(token.id)];
    if (slot.present && slot.text != token.content) {
      throw corrupt_data(cat(where, ": added token '", to_valid_utf8(token.content), "' has the id ", token.id, " of '",
                             to_valid_utf8(slot.text), "'"),
                         "the tokenizer's files do not match");
    }
    slot = {token.content, {}, {}, true, token.special};
    added_ids_.emplace(token.content, token.id);
    if (token.normalized) {
      normalized.push_back(&token);
      slot.form = normalizer_.normalize(token.content).text;
      normalized_patterns.push_back(slot.form);
    } else {
      raw.push_back(&token);
      raw_patterns.push_back(token.content);
    }
  }
  raw_splitter_ = std::make_unique<AddedTokenSplitter>(raw, raw_patterns);
  if (!normalized.empty()) normalized_splitter_ = std::make_unique<AddedTokenSplitter>(normalized, normalized_patterns);
}

const BpeTokenizer::Entry& BpeTokenizer::entry(std::int64_t id) const {
  if (id < 0 || id >= vocab_size() || !tokens_[static_cast<std::size_t>(id)].present) {
    throw invalid_input(cat("token id ", id, " is outside the vocabulary of ", vocab_size(), " tokens"),
                        "decode the ids with the tokenizer that encoded them");
  }
  return tokens_[static_cast<std::size_t>(id)];
}

VocabularyListing BpeTokenizer::vocabulary() const {
  VocabularyListing listing;
  listing.byte_level = options_.byte_level;
  listing.split_patterns = pre_tokenizer_.split_patterns();
  listing.unk_id = options_.unk;
  listing.tokens.resize(tokens_.size());
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    if (!tokens_[id].present) continue;
    listing.tokens[id] = {tokens_[id].text, PieceKind::kNormal, -static_cast<float>(kLargestTokenId)};
    if (options_.byte_fallback && is_byte_name(tokens_[id].text)) listing.tokens[id].kind = PieceKind::kByte;
  }
  for (const AddedToken& token : added_) {
    listing.tokens[static_cast<std::size_t>(token.id)].kind =
        token.special ? PieceKind::kControl : PieceKind::kUserDefined;
  }
  if (options_.unk) listing.tokens[static_cast<std::size_t>(*options_.unk)].kind = PieceKind::kUnknown;
  const std::vector<BpeMerge> merges = model_.merges();
  for (auto merge = merges.rbegin(); merge != merges.rend(); ++merge) {
    listing.tokens[static_cast<std::size_t>(merge->merged)].score = -static_cast<float>(merge->rank);
  }
  if (!listing.byte_level) return listing;
  const auto text_of = [&](std::int32_t id) -> const std::string& {
    return tokens_[static_cast<std::size_t>(id)].text;
  };
  for (const BpeMerge& merge : merges) listing.merges.push_back(cat(text_of(merge.left), ' ', text_of(merge.right)));
  return listing;
}

std::optional<std::int64_t> BpeTokenizer::token_to_id(std::string_view token) const {
  if (const auto found = added_ids_.find(token); found != added_ids_.end()) return found->second;
  const auto found = model_.vocabulary().find(token);
  if (found == model_.vocabulary().end()) return std::nullopt;
  return found->second;
}

std::vector<TokenSpan> BpeTokenizer::encode_spans(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > kMostBytes) {
    throw invalid_input(cat("a text of ", human_bytes(text.size()), " is too long: at most ", human_bytes(kMostBytes)),
                        "split it into lines");
  }
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = to_valid_utf8(text);
  std::vector<TokenSpan> spans;
  spans.reserve(text.size() / 3 + 2);
  if (options.add_bos) {
    for (const std::int64_t id : first_ids_) spans.push_back({id, 0, 0});
  }
  for (const TextPart& part : raw_splitter_->split(text, options.parse_special)) {
    if (part.token != nullptr) {
      spans.push_back({part.token->id, part.begin, part.end});
    } else {
      encode_plain(text.substr(part.begin, part.end - part.begin), part.begin, options.parse_special, spans);
    }
  }
  return spans;
}

// Text between added tokens; `begin` is where it stands in the whole.
void BpeTokenizer::encode_plain(std::string_view text, std::size_t begin, bool with_special,
                                std::vector<TokenSpan>& spans) const {
  const NormalizedText normalized = normalizer_.normalize(text);
  if (!normalized_splitter_) {
    encode_words(normalized, 0, normalized.text.size(), begin, spans);
    return;
  }
  for (const TextPart& part : normalized_splitter_->split(normalized.text, with_special)) {
    if (part.token != nullptr) {
      spans.push_back({part.token->id, begin + normalized.original(part.begin), begin + normalized.original(part.end)});
    } else {
      encode_words(normalized, part.begin, part.end, begin, spans);
    }
  }
}

void BpeTokenizer::encode_words(const NormalizedText& text, std::size_t from, std::size_t to, std::size_t begin,
                                std::vector<TokenSpan>& spans) const {
  NormalizedText part{text.text.substr(from, to - from), {}};
  // Offsets of the part count from the part's own beginning.
  const std::size_t part_begin = begin + text.original(from);
  if (!text.origin.empty()) {
    part.origin.reserve(part.text.size() + 1);
    for (std::size_t at = from; at <= to; ++at) {
      part.origin.push_back(text.origin[at] - text.origin[from]);
    }
  }
  const PreTokenized tokens = pre_tokenizer_.split(std::move(part), part_begin == 0);
  std::vector<BpeSymbol> symbols;
  for (const auto& [word_begin, word_end] : tokens.words) {
    symbols.clear();
    model_.encode(std::string_view(tokens.text.text).substr(word_begin, word_end - word_begin), symbols);
    std::size_t at = word_begin;
    for (const BpeSymbol& symbol : symbols) {
      const std::size_t end = std::min(at + symbol.size, word_end);
      spans.push_back({symbol.id, part_begin + tokens.text.original(at), part_begin + tokens.text.original(end)});
      at = end;
    }
  }
}

class BpePieceDecoder : public PieceDecoder {
 public:
  BpePieceDecoder(const BpeTokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special), left_to_strip_(tokenizer.decoder().strip_count()) {}

  std::string next(std::int64_t id) override {
    const BpeTokenizer::Entry& entry = tokenizer_.entry(id);
    if (skip_special_ && entry.special) return {};
    std::string bytes = first_ ? tokenizer_.decoder().bytes(entry.form, true) : entry.bytes;
    first_ = false;
    std::size_t stripped = 0;
    while (left_to_strip_ > 0 && stripped < bytes.size()) {
      if (bytes[stripped] != tokenizer_.decoder().strip_content()) {
        left_to_strip_ = 0;
      } else {
        ++stripped;
        --left_to_strip_;
      }
    }
    return stripped == 0 ? bytes : bytes.substr(stripped);
  }

 private:
  const BpeTokenizer& tokenizer_;
  bool skip_special_;
  bool first_ = true;
  std::size_t left_to_strip_;
};

std::unique_ptr<PieceDecoder> BpeTokenizer::piece_decoder(bool skip_special) const {
  return std::make_unique<BpePieceDecoder>(*this, skip_special);
}

}  // namespace

std::shared_ptr<const Tokenizer> make_bpe_tokenizer(BpeTokenizerParts parts, const std::string& where) {
  return std::make_shared<BpeTokenizer>(std::move(parts), where);
}

}  // namespace striate

#include "striate/text/sentencepiece_tokenizer.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <unordered_map>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/bpe.h"
#include "striate/text/pipeline.h"
#include "striate/text/sentencepiece_model.h"

namespace striate {
namespace {

constexpr std::size_t kLongestInput = std::size_t{1} << 28;  // sentencepiece counts in int, three bytes to a space

struct Token {
  std::string text;   // as the vocabulary writes it
  std::string bytes;  // what it decodes to inside a text
  bool special = false;
  PieceKind kind = PieceKind::kUnused;
  float score = 0.0F;
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  SentencePieceTokenizer(const SentencePieceModel& model, const TokenizerSettings& settings, bool legacy,
                         const std::string& where);

  std::vector<TokenSpan> encode_spans(std::string_view text, const EncodeOptions& options) const override;
  std::unique_ptr<PieceDecoder> piece_decoder(bool skip_special) const override;
  std::int64_t vocab_size() const override { return static_cast<std::int64_t>(tokens_.size()); }
  std::optional<std::int64_t> bos_id() const override { return bos_; }
  std::optional<std::int64_t> eos_id() const override { return eos_; }
  std::optional<std::int64_t> pad_id() const override { return pad_; }
  std::optional<std::int64_t> token_to_id(std::string_view token) const override;
  std::string id_to_token(std::int64_t id) const override { return token(id).text; }
  bool is_special(std::int64_t id) const override { return token(id).special; }
  bool adds_bos() const override { return adds_bos_; }
  std::string description() const override {
    return cat("sentencepiece BPE, ", vocab_size(), " tokens", legacy_ ? ", legacy" : "");
  }
  VocabularyListing vocabulary() const override;

  const Token& token(std::int64_t id) const;
  bool legacy() const { return legacy_; }
  bool adds_prefix() const { return adds_prefix_; }
  bool has_dummy_prefix() const { return dummy_prefix_; }

 private:
  void load(const SentencePieceModel& model, const std::string& where);
  void add_tokens(const TokenizerSettings& settings, const std::string& where);
  void add_token(const AddedToken& added, const std::string& where);
  void encode_part(const NormalizedText& whole, const TextPart& part, std::vector<TokenSpan>& spans) const;

  bool legacy_;
  bool adds_bos_;
  bool adds_prefix_;   // LlamaTokenizer's add_prefix_space
  bool dummy_prefix_;  // sentencepiece's own, which counts in legacy mode alone
  sentencepiece::SentencePieceProcessor processor_;
  std::vector<Token> tokens_;
  Vocabulary ids_;
  std::vector<AddedToken> added_;
  std::unique_ptr<AddedTokenSplitter> splitter_;
  Normalizer prefix_;  // what LlamaTokenizer does to a text before anything else
  std::optional<std::int64_t> bos_, eos_, pad_;
  std::string unk_text_;
  std::size_t unk_pieces_ = 0;
};

SentencePieceTokenizer::SentencePieceTokenizer(const SentencePieceModel& model, const TokenizerSettings& settings,
                                               bool legacy, const std::string& where)
    : legacy_(legacy),
      adds_bos_(settings.add_bos_token.value_or(true)),
      adds_prefix_(settings.add_prefix_space.value_or(true)),
      dummy_prefix_(legacy && model.add_dummy_prefix) {
  load(model, where);
  add_tokens(settings, where);
  if (!legacy_) {
    prefix_.add_replace(std::string(kSpaceMark), " ");
    if (adds_prefix_) prefix_.add_prepend(std::string(kSpaceMark));
  }
  std::vector<int> unk_ids;
  if (!processor_.Encode(unk_text_, &unk_ids).ok())
    throw internal_error("sentencepiece cannot encode the unknown token");
  unk_pieces_ = unk_ids.size();
}

void SentencePieceTokenizer::load(const SentencePieceModel& model, const std::string& where) {
  // The model's own prefix applies in legacy mode; otherwise LlamaTokenizer puts it there itself.
  const std::string serialized = legacy_ ? model.serialized : model.serialized + dummy_prefix_field(false);
  if (const auto status = processor_.LoadFromSerializedProto(serialized); !status.ok()) {
    throw corrupt_data(cat(where, ": ", status.ToString()), "the file is damaged: download it again");
  }
  tokens_.reserve(model.pieces.size());
  for (const SentencePieceEntry& piece : model.pieces) {
    Token token{piece.text, {}, false, piece.kind, piece.score};
    switch (piece.kind) {
      case PieceKind::kByte:
        token.bytes = std::string(1, static_cast<char>(std::stoi(piece.text.substr(3, 2), nullptr, 16)));
        break;
      case PieceKind::kControl:
        break;  // invisible
      case PieceKind::kUnknown:
        token.bytes = " \xE2\x81\x87 ";  // sentencepiece's mark for it
        break;
      default:
        token.bytes = replace_all(piece.text, kSpaceMark, " ");
    }
    ids_.emplace(piece.text, static_cast<std::int32_t>(tokens_.size()));
    tokens_.push_back(std::move(token));
  }
}

void SentencePieceTokenizer::add_token(const AddedToken& added, const std::string& where) {
  AddedToken token = added;
  const auto known = ids_.find(token.content);
  if (known != ids_.end()) {
    if (token.id >= 0 && token.id != known->second) {
      throw corrupt_data(cat(where, ": token '", token.content, "' has id ", known->second, " here and ", token.id,
                             " in the settings next to it"),
                         "the tokenizer's files do not match");
    }
    token.id = known->second;
  } else {
    if (token.id < 0) token.id = vocab_size();
    if (token.id < vocab_size()) {
      throw corrupt_data(cat(where, ": added token '", token.content, "' has the id ", token.id, " of '",
                             tokens_[static_cast<std::size_t>(token.id)].text, "'"),
                         "the tokenizer's files do not match");
    }
    tokens_.resize(static_cast<std::size_t>(token.id + 1));
    ids_.emplace(token.content, static_cast<std::int32_t>(token.id));
  }
  Token& slot = tokens_[static_cast<std::size_t>(token.id)];
  const bool special = slot.special || token.special;
  const PieceKind kind = slot.kind == PieceKind::kUnknown ? slot.kind
                         : special                        ? PieceKind::kControl
                                                          : PieceKind::kUserDefined;
  slot = {token.content, token.content, special, kind, slot.score};
  const auto again =
      std::find_if(added_.begin(), added_.end(), [&](const AddedToken& other) { return other.id == token.id; });
  if (again == added_.end()) added_.push_back(token);
}

void SentencePieceTokenizer::add_tokens(const TokenizerSettings& settings, const std::string& where) {
  for (const AddedToken& token : settings.added) {
    if (!token.content.empty()) add_token(token, where);
  }
  const auto special = [&](const std::string& name) {
    AddedToken token;
    token.content = name;
    token.special = true;
    add_token(token, where);
    return token_to_id(name);
  };
  unk_text_ = settings.unk.value_or("<unk>");
  special(unk_text_);
  bos_ = special(settings.bos.value_or("<s>"));
  eos_ = special(settings.eos.value_or("</s>"));
  if (settings.pad) pad_ = special(*settings.pad);
  for (const std::string& name : settings.additional_special) {
    if (!name.empty()) special(name);
  }
  require_short_tokens(added_, where);
  std::vector<const AddedToken*> tokens;
  std::vector<std::string> patterns;
  for (const AddedToken& token : added_) {
    tokens.push_back(&token);
    patterns.push_back(token.content);
  }
  splitter_ = std::make_unique<AddedTokenSplitter>(std::move(tokens), patterns);
}

const Token& SentencePieceTokenizer::token(std::int64_t id) const {
  if (id < 0 || id >= vocab_size() || tokens_[static_cast<std::size_t>(id)].text.empty()) {
    throw invalid_input(cat("token id ", id, " is outside the vocabulary of ", vocab_size(), " tokens"),
                        "decode the ids with the tokenizer that encoded them");
  }
  return tokens_[static_cast<std::size_t>(id)];
}

VocabularyListing SentencePieceTokenizer::vocabulary() const {
  VocabularyListing listing;
  for (const Token& token : tokens_) listing.tokens.push_back({token.text, token.kind, token.score});
  listing.unk_id = token_to_id(unk_text_);
  return listing;
}

std::optional<std::int64_t> SentencePieceTokenizer::token_to_id(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

// LlamaTokenizer.tokenize and PreTrainedTokenizer.tokenize.
std::vector<TokenSpan> SentencePieceTokenizer::encode_spans(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > kLongestInput) {
    throw invalid_input(
        cat("a text of ", human_bytes(text.size()), " is too long: at most ", human_bytes(kLongestInput)),
        "split it into lines");
  }
  std::vector<TokenSpan> spans;
  if (text.empty() && !options.add_bos) return spans;
  spans.reserve(text.size() / 3 + 2);
  const NormalizedText whole = prefix_.normalize(text);
  std::vector<TextPart> parts;
  if (options.parse_special) {
    parts = splitter_->split(whole.text, true);
  } else if (!whole.text.empty()) {
    parts.push_back({0, whole.text.size(), nullptr});
  }
  for (const TextPart& part : parts) {
    if (part.token != nullptr) {
      spans.push_back({part.token->id, whole.original(part.begin), whole.original(part.end)});
    } else {
      encode_part(whole, part, spans);
    }
  }
  // The prefix alone before a special token is dropped.
  if (!legacy_ && spans.size() > 1 && token(spans[0].id).text == kSpaceMark && token(spans[1].id).special) {
    spans.erase(spans.begin());
  }
  if (options.add_bos && adds_bos_ && bos_) spans.insert(spans.begin(), {*bos_, 0, 0});
  return spans;
}

void SentencePieceTokenizer::encode_part(const NormalizedText& whole, const TextPart& part,
                                         std::vector<TokenSpan>& spans) const {
  const std::string_view text = std::string_view(whole.text).substr(part.begin, part.end - part.begin);
  // Sentencepiece may treat a space at the very beginning apart, so LlamaTokenizer hides it behind the unknown token's
  // text and drops that text's pieces again.
  const bool hidden = !legacy_ && (text.starts_with(kSpaceMark) || text.starts_with(' '));
  const std::size_t shift = hidden ? unk_text_.size() : 0;
  const auto pieces = processor_.EncodeAsImmutableProto(hidden ? unk_text_ + std::string(text) : std::string(text));
  const std::size_t skip = hidden && pieces.pieces_size() >= unk_pieces_ ? unk_pieces_ : 0;
  for (std::size_t i = skip; i < pieces.pieces_size(); ++i) {
    const auto piece = pieces.pieces(static_cast<int>(i));
    const auto place = [&](std::size_t at) {
      return whole.original(part.begin + std::min(at < shift ? 0 : at - shift, text.size()));
    };
    spans.push_back({piece.id(), place(piece.begin()), place(piece.end())});
  }
}

// LlamaTokenizer.convert_tokens_to_string, token by token.
class SentencePiecePieceDecoder : public PieceDecoder {
 public:
  SentencePiecePieceDecoder(const SentencePieceTokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), skip_special_(skip_special) {}

  std::string next(std::int64_t id) override {
    const Token& token = tokenizer_.token(id);
    if (skip_special_ && token.special) return {};
    std::string out = token.special ? special(token) : ordinary(token);
    previous_special_ = token.special;
    ++count_;
    return out;
  }

  std::string finish() override { return std::exchange(run_, {}); }

 private:
  std::string special(const Token& token) {
    std::string out;
    // In legacy mode text before a special token gets a space in front (whatever the reason), so it had to wait.
    if (tokenizer_.legacy() && count_ > 0 && !previous_special_) out += ' ';
    out += finish();
    run_begins_ = true;
    saw_prefix_ = false;
    return out += token.text;
  }

  std::string ordinary(const Token& token) {
    std::string out;
    const bool marked = token.text.starts_with(kSpaceMark);
    if (previous_special_ && count_ == 1 && !marked && tokenizer_.adds_prefix()) out += ' ';
    std::string bytes = token.bytes;
    bool still_marked = marked;
    if (count_ == 0 && marked && tokenizer_.adds_prefix()) {
      // The prefix LlamaTokenizer put before the text. What is left is decoded as the piece of that name, if any.
      const std::string_view rest = std::string_view(token.text).substr(kSpaceMark.size());
      bytes = tokenizer_.token_to_id(rest) ? replace_all(rest, kSpaceMark, " ") : std::string(rest);
      still_marked = rest.starts_with(kSpaceMark);
    }
    if (tokenizer_.has_dummy_prefix()) bytes = without_dummy_prefix(std::move(bytes), still_marked);
    if (!tokenizer_.legacy() || skip_special_) return out += bytes;
    run_ += bytes;
    return out;
  }

  // sentencepiece's own decoding of a model with the dummy prefix: one space at the beginning of a run goes.
  std::string without_dummy_prefix(std::string bytes, bool marked) {
    if (saw_prefix_) run_begins_ = false;
    saw_prefix_ = run_begins_ && marked;
    if (saw_prefix_) bytes.erase(0, 1);
    if (!bytes.empty()) run_begins_ = false;
    return bytes;
  }

  const SentencePieceTokenizer& tokenizer_;
  bool skip_special_;
  std::size_t count_ = 0;
  bool previous_special_ = false;
  bool run_begins_ = true;   // nothing of the current run has been written
  bool saw_prefix_ = false;  // the run's first piece lost its space
  std::string run_;          // legacy mode: text since the last special token
};

std::unique_ptr<PieceDecoder> SentencePieceTokenizer::piece_decoder(bool skip_special) const {
  return std::make_unique<SentencePiecePieceDecoder>(*this, skip_special);
}

}  // namespace

std::shared_ptr<const Tokenizer> parse_sentencepiece(std::string_view bytes, const TokenizerSettings& settings,
                                                     bool legacy, const std::string& where) {
  return std::make_shared<SentencePieceTokenizer>(parse_sentencepiece_model(bytes, where), settings, legacy, where);
}

}  // namespace striate

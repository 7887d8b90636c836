#include "striate/gguf/tokenizer.h"

#include <algorithm>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/chat_template.h"
#include "striate/text/tokenizer.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";
constexpr float kAddedScore = -1000.0F;  // added tokens are found in the text, never merged
constexpr float kUnusedScore = -10000.0F;

// The expression by which Llama-3 cuts words (meta-llama/llama-models, models/llama3/tokenizer.py).
constexpr std::string_view kLlama3Pattern = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                                            R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

std::string pre_tokenizer_name(const VocabularyListing& listing, const fs::path& folder) {
  if (!listing.byte_level) return "default";
  if (listing.split_patterns.size() == 1 && listing.split_patterns.front() == kLlama3Pattern) return "llama-bpe";
  throw unsupported(cat(folder.string(), ": its tokenizer splits words differently from Llama-3's"),
                    "GGUF export supports the tokenizers of Llama 2, Llama 3 and Phi-3");
}

// A name for a row that no token has, unlike every token's.
std::string padding_name(std::size_t id, const std::set<std::string>& names) {
  std::string name = cat("[PAD", id, "]");
  while (names.contains(name)) name += '_';
  return name;
}

void add_tokens(const VocabularyListing& listing, std::int64_t vocab_size, GgufMetadata& metadata) {
  std::set<std::string> names;
  for (const ListedToken& token : listing.tokens) names.insert(token.text);
  const auto rows = static_cast<std::size_t>(vocab_size);
  std::vector<std::string> texts(rows);
  std::vector<float> scores(rows, kUnusedScore);
  std::vector<std::int32_t> kinds(rows, static_cast<std::int32_t>(PieceKind::kUnused));
  for (std::size_t id = 0; id < rows; ++id) {
    if (id >= listing.tokens.size() || listing.tokens[id].text.empty()) {
      texts[id] = padding_name(id, names);
      continue;
    }
    const ListedToken& token = listing.tokens[id];
    const bool added = token.kind == PieceKind::kControl || token.kind == PieceKind::kUserDefined;
    texts[id] = token.text;
    scores[id] = added ? kAddedScore : token.score;
    kinds[id] = static_cast<std::int32_t>(token.kind);
  }
  metadata.emplace_back("tokenizer.ggml.tokens", GgufArray(std::move(texts)));
  if (!listing.byte_level) metadata.emplace_back("tokenizer.ggml.scores", GgufArray(std::move(scores)));
  metadata.emplace_back("tokenizer.ggml.token_type", GgufArray(std::move(kinds)));
  if (listing.byte_level) metadata.emplace_back("tokenizer.ggml.merges", GgufArray(listing.merges));
}

void add_ids(const Tokenizer& tokenizer, const VocabularyListing& listing, const DecoderConfig& decoder,
             GgufMetadata& metadata) {
  const auto add = [&](const char* name, std::optional<std::int64_t> id) {
    if (!id || *id < 0 || *id >= decoder.vocab_size) return;
    metadata.emplace_back(cat("tokenizer.ggml.", name, "_token_id"), static_cast<std::uint32_t>(*id));
  };
  std::optional<std::int64_t> eos = tokenizer.eos_id();
  if (!eos && !decoder.eos_ids.empty()) eos = decoder.eos_ids.front();
  std::optional<std::int64_t> end_of_turn;
  for (const std::int64_t id : decoder.eos_ids) {
    if (id != eos && !end_of_turn) end_of_turn = id;
  }
  for (const char* name : {"<|eot_id|>", "<|end|>"}) {
    if (!end_of_turn) end_of_turn = tokenizer.token_to_id(name);
  }
  add("bos", tokenizer.bos_id() ? tokenizer.bos_id() : decoder.bos_id);
  add("eos", eos);
  add("eot", end_of_turn);
  add("unknown", listing.unk_id);
  add("padding", tokenizer.pad_id() ? tokenizer.pad_id() : decoder.pad_id);
}

// Whether a space is put before the first word.
bool adds_space(const Tokenizer& tokenizer) {
  const std::vector<std::int64_t> ids = tokenizer.encode("a");
  return !ids.empty() && tokenizer.id_to_token(ids.front()).starts_with(kSpaceMark);
}

}  // namespace

GgufMetadata gguf_tokenizer(const fs::path& folder, const DecoderConfig& decoder, TemplateKind usual) {
  const auto tokenizer = load_tokenizer(folder);
  const VocabularyListing listing = tokenizer->vocabulary();
  GgufMetadata metadata;
  metadata.emplace_back("tokenizer.ggml.model", std::string(listing.byte_level ? "gpt2" : "llama"));
  metadata.emplace_back("tokenizer.ggml.pre", pre_tokenizer_name(listing, folder));
  add_tokens(listing, decoder.vocab_size, metadata);
  add_ids(*tokenizer, listing, decoder, metadata);
  metadata.emplace_back("tokenizer.ggml.add_bos_token", tokenizer->adds_bos());
  metadata.emplace_back("tokenizer.ggml.add_eos_token", false);
  if (!listing.byte_level) metadata.emplace_back("tokenizer.ggml.add_space_prefix", adds_space(*tokenizer));
  // Not the template of the folder's own tokenizer files: a Bunny folder keeps its language model's there (Phi-3's),
  // and the LVLM was not tuned with it.
  metadata.emplace_back("tokenizer.chat_template", jinja_template(usual));
  return metadata;
}

}  // namespace striate

#include "striate/text/tokenizer.h"

#include <array>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/text/bpe_tokenizer.h"
#include "striate/text/sentencepiece_tokenizer.h"
#include "striate/text/tokenizer_files.h"

namespace striate {
namespace {

enum class FileKind { kTokenizerJson, kSentencePiece, kRanks };

// By contents: an object is JSON; a sentencepiece model begins with its first piece (field 1); ranks are base64.
FileKind kind_of(std::string_view bytes, const std::string& where) {
  const std::string_view text = trim(bytes.substr(0, 4096));
  if (text.starts_with('{') && text.find('"') != std::string_view::npos) return FileKind::kTokenizerJson;
  const std::string_view row = text.substr(0, text.find('\n'));
  if (row.ends_with(" 0") && row.find(' ') == row.size() - 2) return FileKind::kRanks;
  if (bytes.starts_with('\n')) return FileKind::kSentencePiece;
  throw corrupt_data(cat(where, ": neither a tokenizer.json, nor a sentencepiece model, nor a tiktoken rank file"),
                     "check that it is the right file; a file in Git LFS may be only a pointer");
}

std::shared_ptr<const Tokenizer> parse(std::string_view bytes, const TokenizerSettings& settings, bool legacy,
                                       const std::string& where) {
  switch (kind_of(bytes, where)) {
    case FileKind::kTokenizerJson:
      return parse_tokenizer_json(bytes, settings, where);
    case FileKind::kRanks:
      return parse_llama3_ranks(bytes, where);
    case FileKind::kSentencePiece:
      break;
  }
  return parse_sentencepiece(bytes, settings, legacy, where);
}

std::optional<std::filesystem::path> find_file(const std::filesystem::path& folder, const char* name) {
  for (const char* ending : {"", ".gz"}) {
    std::filesystem::path path = folder / cat(name, ending);
    if (path_exists(path)) return path;
  }
  return std::nullopt;
}

// Where a folder has both, tokenizer.json is what Hugging Face's AutoTokenizer opens. An early Llama-2 conversion is
// the exception: it overlooks special tokens glued to words, so the sentencepiece model beside it is the right one.
std::shared_ptr<const Tokenizer> load_folder(const std::filesystem::path& folder, const TokenizerOptions& options) {
  const TokenizerSettings settings = read_tokenizer_settings(folder);
  const bool legacy = options.legacy || settings.legacy.value_or(false);
  const auto json = find_file(folder, "tokenizer.json");
  const auto model = find_file(folder, "tokenizer.model");
  if (!json && !model) {
    throw invalid_input(cat(folder.string(), ": no tokenizer.json and no tokenizer.model"),
                        "give the model's folder, or the tokenizer file itself");
  }
  const std::string json_bytes = json ? read_tokenizer_file(*json) : std::string();
  if (model && (!json || normalizes_special_tokens(json_bytes, json->string()))) {
    const std::string model_bytes = read_tokenizer_file(*model);
    if (!json || kind_of(model_bytes, model->string()) == FileKind::kSentencePiece) {
      return parse(model_bytes, settings, legacy, model->string());
    }
  }
  return parse(json_bytes, settings, legacy, json->string());
}

}  // namespace

std::vector<std::int64_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const std::vector<TokenSpan> spans = encode_spans(text, options);
  std::vector<std::int64_t> ids;
  ids.reserve(spans.size());
  for (const TokenSpan& span : spans) ids.push_back(span.id);
  return ids;
}

std::string Tokenizer::decode(const std::vector<std::int64_t>& ids, bool skip_special) const {
  const std::unique_ptr<PieceDecoder> pieces = piece_decoder(skip_special);
  std::string text;
  for (const std::int64_t id : ids) text += pieces->next(id);
  return text += pieces->finish();
}

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& path, const TokenizerOptions& options) {
  if (!path_exists(path)) {
    throw invalid_input(cat(path.string(), ": no such file or folder"), "give a folder or a tokenizer file");
  }
  if (is_folder(path)) return load_folder(path, options);
  return parse(read_tokenizer_file(path), TokenizerSettings{}, options.legacy, path.string());
}

StreamDecoder::StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), pieces_(tokenizer_->piece_decoder(skip_special)) {}

std::string StreamDecoder::push(std::int64_t id) {
  return characters_.push(pieces_->next(id));
}

std::string StreamDecoder::finish() {
  std::string text = characters_.push(pieces_->finish());
  return text += characters_.finish();
}

}  // namespace striate

#include "tokenizing.h"

#include "striate/text/utf8.h"
#include "support.h"

namespace striate::fuzz {
namespace {

constexpr std::size_t kMostText = 2048;  // bytes
constexpr std::string_view kText =
    "<s>  What is in\tthe picture? <image>\nabc abab, a\u0301 \u00fcber 3.14159 \u4f60\u597d\u4e16\u754c "
    "\u0915\u094d\u0937 \U0001F642\U0001F469\u200D\U0001F680 don't STOP</s>\r\n\r\n   \xff\xfe";

void check_spans(const std::vector<TokenSpan>& spans, const std::string& text, std::int64_t vocabulary) {
  std::size_t before = 0;
  for (const TokenSpan& span : spans) {
    if (span.id < 0 || span.id >= vocabulary) found("an id outside the vocabulary");
    if (span.begin < before || span.end < span.begin || span.end > text.size()) {
      found("a span out of order or outside the text");
    }
    before = span.begin;
  }
}

}  // namespace

void use_tokenizer(const std::shared_ptr<const Tokenizer>& tokenizer, std::string_view text) {
  const std::string given = to_valid_utf8(text.empty() ? kText : text.substr(0, kMostText));
  const std::vector<TokenSpan> spans = tokenizer->encode_spans(given, {.add_bos = true});
  check_spans(spans, given, tokenizer->vocab_size());
  (void)tokenizer->encode(given, {.parse_special = false});
  std::vector<std::int64_t> ids;
  for (const TokenSpan& span : spans) ids.push_back(span.id);
  StreamDecoder stream(tokenizer, false);
  std::string streamed;
  for (const std::int64_t id : ids) {
    streamed += stream.push(id);
    (void)tokenizer->id_to_token(id);
    (void)tokenizer->is_special(id);
  }
  streamed += stream.finish();
  if (streamed != to_valid_utf8(tokenizer->decode(ids))) found("a text streamed otherwise than it is decoded");
  if (static_cast<std::int64_t>(tokenizer->vocabulary().tokens.size()) > tokenizer->vocab_size()) {
    found("a listing longer than the vocabulary");
  }
  (void)tokenizer->description();
}

}  // namespace striate::fuzz

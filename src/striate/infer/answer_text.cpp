#include "striate/infer/answer_text.h"

namespace striate {

AnswerText::AnswerText(std::shared_ptr<const Tokenizer> tokenizer, const std::vector<std::string>& stops,
                       Listener listener)
    : stops_(stops), listener_(std::move(listener)) {
  if (!tokenizer) return;
  known_ids_ = tokenizer->vocab_size();
  decoder_.emplace(std::move(tokenizer));
}

bool AnswerText::push(std::int64_t id) {
  return id >= known_ids_ || emit(stops_.push(decoder_->push(id)));
}

bool AnswerText::finish() {
  return !decoder_ || (emit(stops_.push(decoder_->finish())) && emit(stops_.finish()));
}

bool AnswerText::emit(const std::string& piece) {
  text_ += piece;
  return piece.empty() || !listener_ || listener_(piece);
}

}  // namespace striate

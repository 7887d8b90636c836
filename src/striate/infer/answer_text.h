// The text of an answer while its tokens come.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/infer/stop_strings.h"
#include "striate/text/tokenizer.h"

namespace striate {

// Turns ids into text as they come, holding back what may be the beginning of a stop string.
class AnswerText {
 public:
  // Hears new text as it becomes certain; returns false to stop.
  using Listener = std::function<bool(const std::string&)>;

  // Without a tokenizer (nullptr) there is no text, and stop strings never match.
  AnswerText(std::shared_ptr<const Tokenizer> tokenizer, const std::vector<std::string>& stops, Listener listener);

  // False when the listener wants to stop. Models pad their vocabulary beyond the tokenizer's: such an id, should it be
  // drawn, stands for no text.
  bool push(std::int64_t id);
  // What was held back, at the end of the answer.
  bool finish();
  // Whether a stop string came.
  bool stopped() const { return stops_.stopped(); }
  const std::string& text() const { return text_; }

 private:
  bool emit(const std::string& piece);

  std::optional<StreamDecoder> decoder_;
  std::int64_t known_ids_ = 0;  // none without a tokenizer
  StopStrings stops_;
  Listener listener_;
  std::string text_;
};

}  // namespace striate

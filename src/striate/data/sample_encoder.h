// From a record to the tokens and labels that are trained on.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/data/dataset.h"
#include "striate/model/config.h"
#include "striate/text/tokenizer.h"

namespace striate {

// A sample ready for packing, but for its image features.
struct EncodedSample {
  std::string id;
  std::vector<std::int64_t> input_ids;  // kImageToken once per image
  std::vector<std::int64_t> labels;     // same length; kIgnoreLabel at positions that are not targets
  std::vector<std::string> images;      // `image` as the record has it, one for each kImageToken
  std::int64_t tokens = 0;              // positions in the stream, image rows counted
  std::int64_t targets = 0;             // target positions
  bool truncated = false;
};

// Immutable; may be used from many threads.
class SampleEncoder {
 public:
  // `max_tokens` counts image rows; 0: samples are never cut. The tokenizer must outlive the encoder.
  SampleEncoder(const ModelConfig& config, const Tokenizer& tokenizer, TemplateKind conversation,
                std::int64_t max_tokens);

  // Tokens and labels as LLaVA makes them (text/conversation.h). A sample longer than max_tokens is cut at its end: an
  // image whose rows would not all fit goes whole, with everything after it. Throws BadSample, also for <image> in the
  // text of a sample without pictures; `place` begins its message.
  EncodedSample encode(const Record& record, const std::string& place) const;

  std::int64_t rows_per_image() const { return rows_per_image_; }

 private:
  void check_images(const EncodedSample& sample, const std::string& place) const;
  void cut(EncodedSample& sample) const;

  const Tokenizer* tokenizer_;
  TemplateKind conversation_;
  std::int64_t max_tokens_;
  std::int64_t vocab_size_;
  std::int64_t rows_per_image_;  // 0: the model has no vision tower
};

}  // namespace striate

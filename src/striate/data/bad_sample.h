// What can be wrong with one sample of a data set.
#pragma once

#include <cstdint>
#include <string>

#include "striate/base/error.h"

namespace striate {

enum class BadReason {
  kBrokenRecord,  // not JSON, or a field is missing or of a wrong type
  kUnknownRole,   // a turn from neither human nor gpt, or in the wrong order
  kImageMarks,    // more pictures than <image> marks, or fewer
  kImagePath,     // is outside the images folder
  kMissingImage,  // no such file
  kBrokenImage,   // the file is not a complete picture
  kNoVision,      // a picture, and the model has no vision tower
  kUnknownToken,  // the tokenizer gives an id the model's embedding does not have
  kNoTargets,     // no answer, so no target positions
  kTooLong,       // no target position is left after the sample is cut
};

// "missing image", "no targets": what summaries and bad_samples.jsonl call it.
std::string bad_reason_name(BadReason reason);

// Thrown for a sample that cannot be trained on. The message names file, sample and place.
class BadSample : public Error {
 public:
  BadSample(BadReason reason, const std::string& message, const std::string& hint = {})
      : Error(ErrorKind::kInvalidInput, message, hint), reason_(reason) {}
  BadReason reason() const { return reason_; }

 private:
  BadReason reason_;
};

}  // namespace striate

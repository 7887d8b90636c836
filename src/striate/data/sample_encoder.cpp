#include "striate/data/sample_encoder.h"

#include <algorithm>

#include "striate/base/strings.h"

namespace striate {
namespace {

// A position is learned when the one before it predicts a label; image rows are never learned.
std::int64_t count_targets(const EncodedSample& sample) {
  std::int64_t targets = 0;
  for (std::size_t i = 1; i < sample.labels.size(); ++i) {
    if (sample.labels[i] != kIgnoreLabel && sample.input_ids[i] != kImageToken) ++targets;
  }
  return targets;
}

// A picture that the text speaks of and the sample does not have would be trained on blind.
void check_blind(const Record& record, const std::string& place) {
  if (!record.images.empty()) return;
  const auto marks = std::ranges::count_if(
      record.turns, [](const Message& turn) { return turn.value.find("<image>") != std::string::npos; });
  if (marks == 0) return;
  throw BadSample(BadReason::kImageMarks, cat(place, ": no picture, and ", counted(marks, "message"), " with <image>"),
                  record.unread_pictures.empty()
                      ? "name the picture in \"image\" or \"images\", or remove <image> from the text"
                      : cat("pictures are named in \"image\" or \"images\"; the field \"", record.unread_pictures,
                            "\" is not read"));
}

}  // namespace

SampleEncoder::SampleEncoder(const ModelConfig& config, const Tokenizer& tokenizer, TemplateKind conversation,
                             std::int64_t max_tokens)
    : tokenizer_(&tokenizer),
      conversation_(conversation),
      max_tokens_(max_tokens),
      vocab_size_(config.decoder.vocab_size),
      rows_per_image_(config.vision ? config.vision->tokens() : 0) {}

EncodedSample SampleEncoder::encode(const Record& record, const std::string& place) const {
  check_blind(record, place);
  EncodedConversation encoded;
  try {
    encoded = encode_conversation(*tokenizer_, record.turns,
                                  {.kind = conversation_, .has_image = !record.images.empty(), .max_tokens = 0});
  } catch (const Error& problem) {
    if (problem.kind() != ErrorKind::kInvalidInput) throw;
    throw BadSample(BadReason::kUnknownRole, cat(place, ": ", problem.what()), problem.hint());
  }
  EncodedSample sample;
  sample.id = record.id;
  sample.input_ids = std::move(encoded.input_ids);
  sample.labels = std::move(encoded.labels);
  sample.images = record.images;
  check_images(sample, place);
  for (const std::int64_t id : sample.input_ids) {
    if (id >= vocab_size_) {
      throw BadSample(
          BadReason::kUnknownToken,
          cat(place, ": the tokenizer gives token ", id, ", but the vocabulary of the model has ", vocab_size_),
          "use the model's own tokenizer");
    }
  }
  if (count_targets(sample) == 0) {
    throw BadSample(BadReason::kNoTargets, cat(place, ": no answer to train on"),
                    "give the sample an answer, or leave it out");
  }
  cut(sample);
  sample.targets = count_targets(sample);
  if (sample.targets == 0) {
    throw BadSample(BadReason::kTooLong,
                    cat(place, ": no answer begins within ", max_tokens_, " tokens, where the sample is cut"),
                    "raise `max_tokens`, or leave out the sample");
  }
  return sample;
}

void SampleEncoder::check_images(const EncodedSample& sample, const std::string& place) const {
  const auto marks = std::count(sample.input_ids.begin(), sample.input_ids.end(), kImageToken);
  if (marks > 0 && rows_per_image_ == 0) {
    throw BadSample(BadReason::kNoVision, cat(place, ": the sample has an image, but the model has no vision tower"),
                    "use a vision-language model, or samples without images");
  }
  if (marks == static_cast<std::ptrdiff_t>(sample.images.size())) return;
  throw BadSample(
      BadReason::kImageMarks,
      cat(place, ": ", counted(sample.images.size(), "image"), " and ", counted(marks, "message"), " with <image>"),
      "write <image> in one message for each picture: a message has at most one picture");
}

void SampleEncoder::cut(EncodedSample& sample) const {
  std::size_t kept = 0;
  std::size_t images = 0;
  std::int64_t tokens = 0;
  for (; kept < sample.input_ids.size(); ++kept) {
    const bool is_image = sample.input_ids[kept] == kImageToken;
    const std::int64_t more = is_image ? rows_per_image_ : 1;
    if (max_tokens_ > 0 && tokens + more > max_tokens_) break;
    tokens += more;
    if (is_image) ++images;
  }
  sample.tokens = tokens;
  sample.truncated = kept < sample.input_ids.size();
  sample.input_ids.resize(kept);
  sample.labels.resize(kept);
  sample.images.resize(images);
}

}  // namespace striate

// What a data set is like, from a share of its samples and without opening a picture: for plans, in a second or two.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "striate/model/config.h"
#include "striate/text/conversation.h"
#include "striate/text/tokenizer.h"

namespace striate {

class Dataset;
class SampleEncoder;

struct DataSketch {
  std::int64_t samples = 0;    // in the file
  std::int64_t looked_at = 0;  // evenly spread over it
  std::int64_t bad = 0;        // of these; pictures were not looked at
  // Means over the good ones.
  double tokens = 0;         // once cut, image rows counted
  double targets = 0;        // target positions
  double images = 0;         // pictures
  std::int64_t longest = 0;  // tokens

  std::int64_t good() const { return looked_at - bad; }
};

// Looks at `most` samples of an open data set, or all where there are fewer. Where none of them is good, means are 0
// and `first_bad` says what is wrong with the first.
struct SketchedSamples {
  DataSketch sketch;
  std::string first_bad;  // "": none is bad
};
SketchedSamples sketch_samples(const Dataset& data, const SampleEncoder& encoder, std::int64_t most = 1000);

// The same of a file. Throws InvalidInput when the file cannot be read or none of
// these samples is good, CorruptData where its outer form is broken.
DataSketch sketch_data(const ModelConfig& config, const Tokenizer& tokenizer, const std::filesystem::path& data,
                       TemplateKind conversation, std::int64_t max_tokens, std::int64_t most = 1000);

}  // namespace striate

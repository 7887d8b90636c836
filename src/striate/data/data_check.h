// What is in a data set, and what is wrong with it, before anything is trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "striate/data/sample_check.h"
#include "striate/model/config.h"
#include "striate/text/tokenizer.h"

namespace striate {

struct DataCheckOptions {
  std::filesystem::path data;
  std::filesystem::path images;
  PreprocessConfig preprocess;
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::int64_t max_tokens = 2048;
  int threads = 2;
};

// Bad samples of one kind.
struct BadTally {
  std::int64_t count = 0;
  std::vector<SkippedSample> samples;  // all of them, in the file's order
};

struct DataReport {
  static constexpr std::int64_t kShortestClass = 64;  // tokens

  std::int64_t samples = 0;
  std::int64_t good = 0;
  std::int64_t with_images = 0;  // of the good ones
  std::int64_t images = 0;       // in them, repetitions counted
  std::int64_t turns = 0;        // answers of the good ones
  std::int64_t tokens = 0;       // of the good ones, image rows counted, once cut
  std::int64_t targets = 0;
  std::int64_t truncated = 0;
  std::int64_t longest = 0;  // tokens, once cut
  // How many good samples have at most so many tokens and more than the key before: 64, 128, 256, ...
  std::map<std::int64_t, std::int64_t> lengths;
  std::map<BadReason, BadTally> bad;
  // Ids that more than one sample has, with how many. No error: training does not read ids.
  std::map<std::string, std::int64_t> duplicate_ids;

  std::int64_t bad_count() const { return samples - good; }
};

// Reads every sample as training would, on several threads: tokens, labels, and every picture to its last pixel.
// `progress` is called with the number of samples done since the last call, and that of all. Throws InvalidInput for an
// images folder that is not there, and what opening the file throws.
DataReport check_data(const ModelConfig& config, const Tokenizer& tokenizer, const DataCheckOptions& options,
                      const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace striate

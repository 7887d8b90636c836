// What is in a data set, and what is wrong with it, before anything is trained.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "striate/data/sample_check.h"
#include "striate/model/load.h"
#include "striate/text/tokenizer.h"

namespace striate {

struct DataCheckOptions {
  std::filesystem::path data;
  std::filesystem::path images;
  PreprocessConfig preprocess;
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::int64_t max_tokens = 2048;
  int threads = 2;
  // How many bad samples of each kind are kept in the report: all are counted.
  std::size_t keep = std::numeric_limits<std::size_t>::max();
};

// Bad samples of one kind.
struct BadTally {
  std::int64_t count = 0;
  std::vector<SkippedSample> samples;  // the first of them, in the file's order
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
  // In which form the samples are (Record::form), and how many; those that cannot be read have none.
  std::map<std::string, std::int64_t> forms;
  // None of the pictures is there: what to ask about the folder, instead of a line for every sample.
  std::optional<Error> wrong_folder;
  // Ids that more than one sample has, with how many. Not an error: training does not use ids.
  std::map<std::string, std::int64_t> duplicate_ids;

  TemplateKind conversation = TemplateKind::kVicunaV1;  // that tokens were counted with

  std::int64_t bad_count() const { return samples - good; }
};

struct DataCheckRequest {
  ModelPaths model;                                // whose tokens, template and pictures the samples become
  std::optional<std::filesystem::path> tokenizer;  // default: the model's folder
  std::optional<TemplateKind> conversation;        // default: the model's
  std::filesystem::path data;
  std::filesystem::path images;
  std::int64_t max_tokens = 2048;
  int threads = 0;                       // 0: one per core
  std::optional<std::size_t> keep = {};  // as DataCheckOptions; absent: all
};

// Reads the model's headers, and every sample as training would. `progress` is called with the number of samples done
// since the last call, and that of all. Throws what opening the model throws, and as the next function.
DataReport check_data(const DataCheckRequest& request,
                      const std::function<void(std::int64_t, std::int64_t)>& progress = {});

// Throws InvalidInput where training would stop at a bad sample.
void require_good_samples(const DataCheckRequest& request, const DataReport& report);

// Reads every sample as training would, on several threads: tokens, labels, and every picture to its last pixel.
// `progress` is called with the number of samples done since the last call, and that of all. Throws InvalidInput for an
// images folder that is not there, and what opening the file throws.
DataReport check_data(const ModelConfig& config, const Tokenizer& tokenizer, const DataCheckOptions& options,
                      const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace striate

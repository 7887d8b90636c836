// Layer scores in a file: what `striate score` writes and the specs `score:FILE:METRIC:k` and
// `stratified:FILE:METRIC:k` read. docs/scores.md describes the format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/output_file.h"

namespace striate {

struct DecoderConfig;

// One number per place (layer, block or head): the mean over samples, and its standard error.
struct Score {
  std::vector<double> mean{};            // NaN where no sample gave a value (null in the file)
  std::vector<double> standard_error{};  // of the same length, or empty for what is measured on weights alone
  std::vector<std::int64_t> samples{};   // that gave a value; of the same length, or empty where that is not told
};

// The number of tokens, and of those that have no direction to compare: by layer, its input or its output.
struct TokenCounts {
  std::int64_t total = 0;
  std::vector<std::int64_t> zero_norm{};             // [layers], or empty where no score looks at states
  std::vector<std::int64_t> not_finite{};            // the same
  std::vector<std::int64_t> attention_not_finite{};  // text queries times heads; [layers], or empty without attention
};

// The shape of a decoder, which differs between decoders of the same depth.
struct DecoderShape {
  std::int64_t hidden = 0, mlp = 0, heads = 0, kv_heads = 0;
  bool operator==(const DecoderShape&) const = default;
};
DecoderShape decoder_shape(const DecoderConfig& config);

struct ScoreFile {
  std::string model{};  // what was scored, for people
  std::int64_t layers = 0;
  std::int64_t samples = 0;
  // By name: bi, bi_text, bi_image, bi_multimodal, image_attention, param_change, ...: one value per layer each.
  std::map<std::string, Score> metrics{};
  // Angular distance (Gromov et al., arXiv 2403.17887) by block length n: value l compares the input of layer l with
  // the output of layer l + n - 1, so there are layers - n + 1 of them. As a metric, "angular" means n = 1.
  std::map<std::int64_t, Score> angular{};
  // image_attention of each head: [layer], one value per head.
  std::vector<Score> image_attention_heads{};
  // Change ratio of each linear's weight, by its name in the layer: one value per layer each.
  std::map<std::string, Score> param_change_linears{};
  std::optional<TokenCounts> tokens{};
  std::optional<DecoderShape> decoder{};  // absent in files that do not tell
  // How it was measured (seed, data, flags): kept as it is.
  nlohmann::json settings = nlohmann::json::object();

  // The values of a metric, one per layer. Throws InvalidInput, with the nearest name, when the file has no such
  // metric.
  const Score& metric(const std::string& name) const;
  // What metric() knows.
  std::vector<std::string> metric_names() const;

  std::string path = "the scores";  // what errors call it
};

// Throws InvalidInput (absent), CorruptData (not JSON, not a score file, a list of the wrong length, a value that is no
// finite number: the key is named), Unsupported (a later version).
ScoreFile read_score_file(const std::filesystem::path& path);

// As the file holds it. Throws InternalError when lengths contradict `layers`.
nlohmann::json score_file_json(const ScoreFile& scores);

// Writes `scores` into a file and commits it. Throws InternalError when lengths contradict `layers`, ResourceError.
void write_score_file(const ScoreFile& scores, AtomicFile& file);

}  // namespace striate

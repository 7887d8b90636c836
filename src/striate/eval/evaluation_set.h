// Held-out samples: what `eval_data` measures loss and answers on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "striate/base/notes.h"
#include "striate/data/step_source.h"
#include "striate/model/lvlm.h"
#include "striate/model/packed_batch.h"
#include "striate/ranks/rank_exchange.h"
#include "striate/text/tokenizer.h"

namespace striate {

// One answer of a record, and what comes before it.
struct EvaluationTurn {
  // The record's own tokens up to where the answer begins, the reference answers of earlier turns included; with the
  // features of the images in them. No labels.
  Sample prompt;
  std::string answer;  // the reference, without white space around it
};

struct EvaluationItem {
  std::string name;                   // id and place in the file, for people
  Sample sample;                      // with labels and image features, as in training: for the loss
  std::int64_t targets = 0;           // learned positions of the sample
  std::vector<EvaluationTurn> turns;  // every answer that is not empty and not cut off
};

// What is asked of a data set.
struct EvaluationData {
  std::filesystem::path data;
  std::filesystem::path images;
  std::int64_t max_tokens = 2048;
  std::int64_t most_items = 0;  // so many samples; 0: all
  // Which ones: the first, or drawn over the whole file by this seed.
  std::optional<std::uint64_t> draw_seed;
  OnBadSample on_bad_sample = OnBadSample::kStop;
  std::int64_t feature_cache_bytes = 1 << 28;
  std::filesystem::path feature_cache_folder;
  int threads = 2;
};

// The same for one model and one rank.
struct EvaluationOptions : EvaluationData {
  std::optional<PreprocessConfig> preprocess;  // as in StepSourceOptions
  TemplateKind conversation = TemplateKind::kVicunaV1;
  // Through which ranks share the checking; none: every sample is checked here.
  std::shared_ptr<RankExchange> exchange;
  Notes notes;  // warned when features cannot be kept on disk
};

// Samples that were checked, on `threads` threads, without a model's weights: bad data is refused before a model is
// loaded. The tokenizer must outlive them.
class CheckedSamples {
 public:
  // Throws BadSample for the first bad one (kStop), InvalidInput when none is good.
  CheckedSamples(const ModelConfig& config, const Tokenizer& tokenizer, const EvaluationOptions& options);
  CheckedSamples(CheckedSamples&&) noexcept;
  CheckedSamples& operator=(CheckedSamples&&) noexcept;
  ~CheckedSamples();

  // Good ones.
  std::int64_t size() const;

 private:
  friend class EvaluationSet;
  struct State;
  std::unique_ptr<State> state_;
};

// Samples of a file in the file's order, with the features of their pictures. Tokens are made anew at each visit,
// features come through the caches. Model and tokenizer must outlive it.
class EvaluationSet {
 public:
  // `model` is one of the configuration that the samples were checked for.
  EvaluationSet(const Lvlm& model, CheckedSamples samples);
  // Both in one; throws as CheckedSamples does.
  EvaluationSet(const Lvlm& model, const Tokenizer& tokenizer, const EvaluationOptions& options);
  ~EvaluationSet();

  // Good samples.
  std::int64_t size() const;
  // Bad samples left out.
  std::int64_t skipped() const;
  // Item `index` of size(). Runs the vision tower for features not cached; not for several threads at once.
  EvaluationItem item(std::int64_t index);
  // The samples of these items alone, in their order; their pictures are read together.
  std::vector<Sample> samples(std::span<const std::int64_t> indices);
  // The tower changed (it is being trained): features in memory no longer hold. Throws Internal with a cache folder.
  void forget_features();

 private:
  CheckedSamples checked_;
  struct Pictures;
  std::unique_ptr<Pictures> pictures_;
};

}  // namespace striate

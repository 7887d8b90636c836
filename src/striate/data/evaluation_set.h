// Held-out samples: what --eval-data measures loss and answers on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "striate/data/step_source.h"
#include "striate/model/lvlm.h"
#include "striate/model/packed_batch.h"
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

struct EvaluationOptions {
  std::filesystem::path data;
  std::filesystem::path images;
  std::optional<PreprocessConfig> preprocess;  // as in StepSourceOptions
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::int64_t max_tokens = 2048;
  std::int64_t most_items = 0;  // so many samples; 0: all
  // Which ones: the first, or drawn over the whole file by this seed.
  std::optional<std::uint64_t> draw_seed;
  OnBadSample on_bad_sample = OnBadSample::kStop;
  std::int64_t feature_cache_bytes = 1 << 28;
  std::filesystem::path feature_cache_folder;
  int threads = 2;
};

// Samples of a file in the file's order. All that are used are checked when it is opened, on `threads` threads; tokens
// are made anew at each visit, features come through the caches. Model and tokenizer must outlive it.
class EvaluationSet {
 public:
  // Throws BadSample for the first bad one (kStop), InvalidInput when none is good.
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
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace striate

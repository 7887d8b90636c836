// Training data as a sequence of optimiser steps: the order, the packing and the pictures of each.
//
// Everything about a step is decided by (seed, epoch, index in the epoch) and the files: the samples in it and their
// keys are the same for any number of ranks and threads; a rank takes its share of it. docs/data.md says how steps are
// planned, and what happens to bad samples.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/notes.h"
#include "striate/image/image.h"
#include "striate/model/lvlm.h"
#include "striate/model/packed_batch.h"
#include "striate/ranks/rank_exchange.h"
#include "striate/text/conversation.h"
#include "striate/text/tokenizer.h"

namespace striate {

// Where a run stands in its data, complete enough to go on bit for bit. Steps are planned window by window:
// `window_start` is the place in the epoch's order where the current window begins, `step_in_window` how many of its
// steps were already taken. An epoch's last step is filled up from the next epoch.
struct DataPosition {
  std::int64_t epoch = 0;
  std::int64_t window_start = 0;
  std::int64_t step_in_window = 0;
  std::int64_t bad_samples = 0;   // skipped so far, those of the whole current window included
  std::int64_t seen_samples = 0;  // of the steps taken
  std::int64_t truncated_samples = 0;
  bool operator==(const DataPosition&) const = default;
};

enum class OnBadSample { kStop, kSkip };

// What is asked of a data set.
struct TrainingData {
  std::filesystem::path data;    // LLaVA JSON or JSON Lines
  std::filesystem::path images;  // folder the samples' `image` is relative to
  double fraction = 1;  // of the samples, drawn by the run's seed; a smaller fraction is part of a larger one's samples
  bool shuffle = true;
  // One of the two: samples per optimiser step over all ranks, or tokens (image rows counted) per optimiser step.
  std::int64_t batch = 0;
  std::int64_t tokens_per_step = 0;
  std::int64_t tokens_per_stream = 8192;  // a rank's share of a step is packed into streams of at most so many tokens
  std::int64_t max_tokens = 2048;         // of a sample, image rows counted; longer ones are cut and counted
  OnBadSample on_bad_sample = OnBadSample::kStop;
  // Skipping more of the samples drawn than this stops the run; of fewer than 1000 (or the whole data set, if it is
  // smaller), the share is of those.
  double max_bad_share = 0.01;
  std::int64_t feature_cache_bytes = 1 << 30;  // memory for vision features
  std::filesystem::path feature_cache_folder;  // on disk as well; empty: no
  int threads = 2;                             // that read, decode and tokenise
};

// The same for one model and one rank of a run.
struct StepSourceOptions : TrainingData {
  // How pictures are prepared: preprocess_config() of the model's folder. Absent: the tower's defaults.
  std::optional<PreprocessConfig> preprocess;
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::uint64_t seed = 234;
  int rank = 0;
  int ranks = 1;
  // Through which ranks share the checking of samples; none: each rank checks every sample itself.
  std::shared_ptr<RankExchange> exchange;
  std::filesystem::path bad_samples_file;  // JSON Lines, appended to by rank 0, a sample once; empty: none
  bool pixels = false;  // leave the tower to the caller (it is being trained): PackedBatch::pixels, and no cache
  Notes notes;          // warned when features cannot be kept on disk
};

// One optimiser step as one rank sees it.
struct TrainingStep {
  // This rank's share, image features (or pixels) filled in, on the model's device. None when there were fewer samples
  // than ranks.
  std::vector<PackedBatch> streams;
  std::vector<std::vector<std::string>> sample_names;  // [stream][sample]: id and place in the file, for people
  std::int64_t targets = 0;                            // of the whole step, all ranks: what losses are divided by
  std::int64_t tokens = 0;                             // of the whole step
  std::int64_t samples = 0;                            // of the whole step
  DataPosition after;                                  // where the run stands once this step is taken
};

// Reads ahead in background threads with bounded queues; `next` itself runs the vision tower for features not cached,
// on a GPU beside what it was given before and without waiting for it.
class StepSource {
 public:
  virtual ~StepSource() = default;
  // The next step; epochs follow each other without end. Throws InvalidInput for a bad sample (kStop) or too many of
  // them (kSkip), naming it, before the first step of the window it was found in; what a thread threw; and the same
  // again when called again.
  virtual TrainingStep next() = 0;
  virtual std::int64_t samples_per_epoch() const = 0;
  // Optimiser steps in an epoch, rounded up: exact with `batch` (bad samples aside), an estimate from up to 512
  // samples' lengths with `tokens_per_step`, which does not depend on where the run began.
  virtual std::int64_t steps_per_epoch() const = 0;
};

// Which samples make each step, without their pictures' features: all that needs no weights (planned_steps.h).
class PlannedSteps;

// `model` gives the tower, and is one of the configuration that the steps were planned for; it must outlive the source,
// as must their tokenizer.
// On a GPU, features take up to `device_cache_bytes` of its memory, besides those of the step that is taken.
std::unique_ptr<StepSource> open_step_source(const Lvlm& model, std::unique_ptr<PlannedSteps> steps,
                                             std::int64_t device_cache_bytes = 0);

// Both in one. Throws InvalidInput for options that contradict each other, and a start beyond the data set.
std::unique_ptr<StepSource> open_step_source(const Lvlm& model, const Tokenizer& tokenizer,
                                             const StepSourceOptions& options, const DataPosition& start = {});

}  // namespace striate

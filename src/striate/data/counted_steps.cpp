#include "striate/data/counted_steps.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/data/dataset.h"
#include "striate/data/picture_features.h"
#include "striate/data/picture_folder.h"
#include "striate/data/sample_encoder.h"
#include "striate/data/shared_check.h"
#include "striate/data/window_planner.h"
#include "striate/data/worker_pool.h"

namespace striate {

void check_tokens_per_step(const TrainingData& data) {
  if (data.tokens_per_step <= 0 || data.tokens_per_step >= data.max_tokens) return;
  throw invalid_input(cat("`tokens_per_step` ", data.tokens_per_step, ": a sample may have ", data.max_tokens,
                          " tokens (`max_tokens`)"),
                      "raise this value or lower `max_tokens`");
}

void tell_of_counting(std::int64_t samples, const Notes& notes) {
  constexpr std::int64_t kMany = 100'000;
  if (samples < kMany) return;
  notes.tell(cat("counting the tokens of ", samples, " samples, to know the steps of their epochs"));
}

std::int64_t counted_steps(const ModelConfig& config, const Tokenizer& tokenizer, const StepSourceOptions& options,
                           double epochs) {
  check_tokens_per_step(options);
  const Dataset data(options.data, {options.fraction, options.seed});
  tell_of_counting(data.size(), options.notes);
  const SampleEncoder encoder(config, tokenizer, options.conversation, options.max_tokens);
  WorkerPool pool(options.threads);
  PictureChecker pictures(picture_folder(config, options.images, options.preprocess, data.pictures()));
  const WindowPlanner planner(data, encoder, pictures, options, pool);
  return planner.steps_of(epochs, token_counts(data, encoder, pool, nullptr));
}

}  // namespace striate

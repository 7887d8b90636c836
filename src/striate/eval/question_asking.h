// Questions asked of a model that is in memory: what runs of evaluation, prediction and held-out benchmarks share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "striate/answers/question_store.h"
#include "striate/base/stop_flag.h"
#include "striate/data/picture_features.h"
#include "striate/eval/question_prompt.h"
#include "striate/eval/question_source.h"
#include "striate/infer/generate.h"
#include "striate/model/lvlm.h"

namespace striate {

// Questions of one set, asked by one protocol.
struct QuestionBatch {
  std::string benchmark;  // its name
  const Protocol* protocol = nullptr;
  const QuestionSet* set = nullptr;  // what prompts show beside a question
  const QuestionStore* store = nullptr;
  std::vector<std::size_t> questions;  // of the store
  std::filesystem::path images;        // the folder of their pictures; not read where `shows_pictures` is false
  bool shows_pictures = true;
};

struct AnsweringFigures {
  std::int64_t cut_prompts = 0;  // lost their beginning to fit the context
  std::int64_t prompt_tokens = 0, reused_tokens = 0;
};

// A model, and how it is asked.
struct AskedModel {
  const Lvlm& model;
  Generator& generator;  // with this model
  const Tokenizer& tokenizer;
  PromptSettings prompts;                  // with the template and the context
  std::optional<PreprocessConfig> pixels;  // how pictures are prepared; absent: it has no vision tower
  FeatureCaches caches;
  int data_threads = 2;  // that read and decode pictures
};

// Hands every answer, or why there is none, to `sink`. Once `stop` is asked (it may be nullptr), those under way are
// dropped. Throws what generating throws, and what the sink throws.
AnsweringFigures ask_questions(const AskedModel& asked, QuestionBatch batch, QuestionSink sink, const StopFlag* stop);

}  // namespace striate

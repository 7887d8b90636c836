// A model that answers questions: what evaluation and prediction share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "striate/base/notes.h"
#include "striate/base/stop_flag.h"
#include "striate/eval/question_asking.h"
#include "striate/eval/question_prompt.h"
#include "striate/eval/question_source.h"
#include "striate/infer/generate.h"
#include "striate/model/load.h"
#include "striate/text/conversation.h"

namespace striate {

// Which model answers, and within what.
struct AnswererSettings {
  ModelPaths model;
  Placement placement;
  std::optional<std::filesystem::path> tokenizer;  // default: the model's folder
  std::optional<TemplateKind> conversation;        // default: the model's
  std::uint64_t memory_budget = 0;                 // bytes for keys, values and activations, beside the weights
  std::int64_t sequences = 64;                     // answers under way at a time, at most
  std::optional<std::int64_t> context;             // tokens of prompt and answer together; default: the model's
  std::filesystem::path feature_cache_folder;      // empty: none
  int data_threads = 2;                            // that read and decode pictures
};

// Opens the model's files at once, and reads the weights when the first question is asked.
class QuestionAnswerer {
 public:
  // Throws what open_checkpoint() and load_tokenizer() throw, and InvalidInput for a context beyond the model's.
  // Settings must outlive it.
  QuestionAnswerer(const AnswererSettings& settings, Notes notes);

  const Checkpoint& checkpoint() const { return checkpoint_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  TemplateKind conversation() const { return conversation_; }
  std::int64_t context() const { return context_; }
  // How pictures are prepared. Throws Internal for a language model alone.
  PreprocessConfig pixels() const;
  // What the model reads for the questions of a batch; `settings` but for template and context.
  QuestionPrompts prompts(const QuestionBatch& batch, PromptSettings settings) const;

  // Hands every answer, or why there is none, to `sink`. Once `stop` is asked, those under way are dropped. Throws what
  // loading and generating throw, and what the sink throws.
  AnsweringFigures ask(QuestionBatch batch, const PromptSettings& settings, QuestionSink sink, const StopFlag* stop);

 private:
  const Lvlm& model();
  PromptSettings completed(PromptSettings settings) const;

  const AnswererSettings& settings_;
  Notes notes_;
  Checkpoint checkpoint_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  TemplateKind conversation_;
  std::int64_t context_;
  std::unique_ptr<Lvlm> model_;
  std::unique_ptr<Generator> generator_;
};

}  // namespace striate

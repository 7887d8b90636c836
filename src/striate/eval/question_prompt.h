// From a benchmark's question to what the model reads, as a protocol says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/answers/benchmark.h"
#include "striate/infer/generate.h"
#include "striate/model/config.h"
#include "striate/text/conversation.h"
#include "striate/text/tokenizer.h"

namespace striate {

// One question, ready but for the features of its pictures.
struct QuestionPrompt {
  std::string shown;                  // the user's turn, "<image>" where a picture goes
  std::vector<std::string> pictures;  // names, in the order of the marks
  GenerationJob job;                  // without images
  std::int64_t cut_tokens = 0;        // left out at the beginning so that the rest fits the context (bare prompts)
};

struct PromptSettings {
  TemplateKind conversation = TemplateKind::kVicunaV1;
  std::int64_t context = 2048;     // of prompt and answer together
  bool without_pictures = false;   // the same words, without any picture
  bool pictures_anywhere = false;  // absolute names are taken; else pictures stay in their folder
  // A bare prompt that leaves no room for the longest answer loses its beginning, as in lm-evaluation-harness; else it
  // stays whole.
  bool cuts_bare_prompts = true;
  SamplingOptions sampling = {};  // beside the protocol's temperature; each question draws by a seed of its own
};

// Makes the prompts of one benchmark under one protocol. All of these must outlive it.
class QuestionPrompts {
 public:
  QuestionPrompts(const Protocol& protocol, const QuestionSet& set, const ModelConfig& config,
                  const Tokenizer& tokenizer, const PromptSettings& settings);

  // The user's turn alone.
  std::string shown(const Question& question) const;
  // Throws InvalidInput where the marks and the pictures of a question do not agree, for a picture that the model
  // cannot see, and for one outside the folder.
  QuestionPrompt of(const Question& question) const;

 private:
  std::vector<std::int64_t> encode(const std::string& text) const;
  std::vector<std::int64_t> conversation_ids(const std::string& shown) const;
  void add_letters(const Question& question, QuestionPrompt& prompt) const;
  void fit(QuestionPrompt& prompt) const;

  const Protocol& protocol_;
  const QuestionSet& set_;
  const ModelConfig& config_;
  const Tokenizer& tokenizer_;
  PromptSettings settings_;
};

}  // namespace striate

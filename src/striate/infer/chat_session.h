// A conversation with a model: turns, images, and one answer at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/image/image.h"
#include "striate/infer/generate.h"
#include "striate/model/load.h"
#include "striate/text/conversation.h"
#include "striate/text/tokenizer.h"

namespace striate {

struct ChatSettings {
  std::optional<TemplateKind> conversation;        // default: the family's
  bool raw = false;                                // the prompt as it is, no template: every turn is separate
  std::optional<std::int64_t> context;             // tokens; default: as many as the model was made for
  std::optional<std::filesystem::path> tokenizer;  // default: the checkpoint's folder
};

// An answer and the prompt it answers.
struct ChatAnswer {
  std::vector<std::int64_t> prompt_ids;  // kImageToken at the place of an image
  GenerationResult result;
};

// Holds a loaded model, its tokenizer and the turns so far. A turn that throws leaves the conversation as it was.
class ChatSession {
 public:
  ChatSession(const Checkpoint& checkpoint, const Placement& placement, const ChatSettings& settings);

  // One turn. Images without an `<image>` in `text` are put in front of it, as LLaVA's own prompts do (not in raw mode,
  // where the prompt says where they go). Throws InvalidInput (numbers of images and `<image>` differ, context
  // overflow).
  ChatAnswer ask(const std::string& text, const std::vector<std::filesystem::path>& images, GenerationOptions options,
                 const GenerationCallbacks& callbacks = {});
  // Starts a new conversation.
  void reset();

  const std::vector<Message>& history() const { return history_; }
  const Lvlm& model() const { return *model_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  at::Tensor look(const std::filesystem::path& file) const;

  ChatSettings settings_;
  TemplateKind template_;
  std::filesystem::path folder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::unique_ptr<Lvlm> model_;
  std::optional<PreprocessConfig> pixels_;
  Generator generator_;
  std::vector<Message> history_;
  std::vector<at::Tensor> images_;  // of the whole conversation, in order
};

}  // namespace striate

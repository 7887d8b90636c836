#include "striate/infer/chat_session.h"

#include <ATen/ops/tensor.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/infer/answer_ends.h"
#include "striate/model/picture_settings.h"
#include "striate/text/image_marks.h"

namespace striate {
namespace {

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

ChatSession::ChatSession(const Checkpoint& checkpoint, const Placement& placement, const ChatSettings& settings)
    : settings_(settings),
      template_(settings.conversation.value_or(default_template(checkpoint.config.family))),
      folder_(checkpoint.folder),
      tokenizer_(load_tokenizer(settings.tokenizer.value_or(checkpoint.folder))),
      model_(load_model(checkpoint, placement)),
      generator_(*model_, tokenizer_, {.context = settings.context}) {
  if (checkpoint.config.vision) pixels_ = preprocess_config(checkpoint.config, checkpoint.folder);
}

at::Tensor ChatSession::look(const std::filesystem::path& file) const {
  if (!pixels_) throw invalid_input("this model has no vision tower and cannot read images", "leave out `image`");
  const std::vector<float> values = preprocess(load_image(file), *pixels_);
  const at::Tensor pixels = at::tensor(values).view({1, 3, pixels_->size, pixels_->size});
  return model_->vision_features(pixels)[0];
}

ChatAnswer ChatSession::ask(const std::string& text, const std::vector<std::filesystem::path>& images,
                            GenerationOptions options, const GenerationCallbacks& callbacks) {
  std::string turn = text;
  if (!settings_.raw && !images.empty() && image_marks(text) == 0) {
    turn = repeated(template_ == TemplateKind::kPlain ? "<image>" : "<image>\n", images.size()) + text;
  }
  if (image_marks(turn) != images.size()) {
    throw invalid_input(cat("the prompt has ", image_marks(turn), " <image> and ", images.size(), " images were given"),
                        "write <image> once for every `image`, or leave out <image> to put all images first");
  }
  std::vector<Message> messages = settings_.raw ? std::vector<Message>{} : history_;
  std::vector<at::Tensor> features = settings_.raw ? std::vector<at::Tensor>{} : images_;
  for (const std::filesystem::path& file : images) features.push_back(look(file));
  messages.push_back({"human", turn});

  Sample prompt;
  prompt.input_ids = encode_prompt(*tokenizer_, settings_.raw ? turn : render_prompt(messages, template_));
  prompt.images = features;
  if (settings_.raw) {
    end_as_text(options, model_->config());
  } else {
    end_as_conversation(options, model_->config(), *tokenizer_, template_);
  }
  ChatAnswer answer{prompt.input_ids, generator_.generate(prompt, options, callbacks)};

  messages.push_back({"gpt", answer.result.text});
  history_ = std::move(messages);
  images_ = std::move(features);
  return answer;
}

void ChatSession::reset() {
  history_.clear();
  images_.clear();
  generator_.reset();
}

}  // namespace striate

#include "striate/infer/chat_session.h"

#include <ATen/ops/tensor.h>

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::string_view kImageMark = "<image>";

std::size_t count_marks(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = text.find(kImageMark); at != std::string_view::npos; at = text.find(kImageMark, at + 1))
    ++count;
  return count;
}

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
      generator_(*model_, tokenizer_, settings.context) {
  if (!checkpoint.config.vision) return;
  pixels_ = preprocess_config(checkpoint.config, checkpoint.folder);
  if (settings.pad_to_square) pixels_->pad_to_square = *settings.pad_to_square;
}

at::Tensor ChatSession::look(const std::filesystem::path& file) const {
  if (!pixels_) throw invalid_input("this model has no vision tower: it cannot look at images", "leave out --image");
  const std::vector<float> values = preprocess(load_image(file), *pixels_);
  const at::Tensor pixels = at::tensor(values).view({1, 3, pixels_->size, pixels_->size});
  return model_->vision_features(pixels)[0];
}

std::vector<std::int64_t> ChatSession::end_ids() const {
  std::vector<std::int64_t> ids = model_->config().decoder.eos_ids;
  const std::filesystem::path file = folder_ / "generation_config.json";
  if (std::filesystem::exists(file)) {
    const nlohmann::json root = read_json_file(file);
    // transformers' generate() reads this file before the model's own config.
    if (root.is_object() && root.contains("eos_token_id")) {
      const nlohmann::json& eos = root.at("eos_token_id");
      if (settings_.raw && !eos.is_null()) ids.clear();
      if (eos.is_number_integer()) ids.push_back(eos.get<std::int64_t>());
      if (eos.is_array()) {
        for (const nlohmann::json& id : eos) {
          if (id.is_number_integer()) ids.push_back(id.get<std::int64_t>());
        }
      }
    }
  }
  if (settings_.raw) return ids;
  if (const auto id = tokenizer_->token_to_id(stop_string(template_))) ids.push_back(*id);
  if (const auto id = tokenizer_->eos_id()) ids.push_back(*id);
  return ids;
}

ChatAnswer ChatSession::ask(const std::string& text, const std::vector<std::filesystem::path>& images,
                            GenerationOptions options, const GenerationCallbacks& callbacks) {
  std::string turn = text;
  if (!settings_.raw && !images.empty() && count_marks(text) == 0) {
    turn = repeated(template_ == TemplateKind::kPlain ? "<image>" : "<image>\n", images.size()) + text;
  }
  if (count_marks(turn) != images.size()) {
    throw invalid_input(cat("the prompt has ", count_marks(turn), " <image> and ", images.size(), " images were given"),
                        "write <image> once for every --image, or leave it out to have them put first");
  }
  std::vector<Message> messages = settings_.raw ? std::vector<Message>{} : history_;
  std::vector<at::Tensor> features = settings_.raw ? std::vector<at::Tensor>{} : images_;
  for (const std::filesystem::path& file : images) features.push_back(look(file));
  messages.push_back({"human", turn});

  Sample prompt;
  prompt.input_ids = encode_prompt(*tokenizer_, settings_.raw ? turn : render_prompt(messages, template_));
  prompt.images = features;
  const std::vector<std::int64_t> ends = end_ids();
  options.eos_ids.insert(options.eos_ids.end(), ends.begin(), ends.end());
  if (!settings_.raw) options.stop_strings.push_back(stop_string(template_));
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

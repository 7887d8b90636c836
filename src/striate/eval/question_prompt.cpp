#include "striate/eval/question_prompt.h"

#include <algorithm>
#include <filesystem>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "striate/infer/answer_ends.h"
#include "striate/text/image_marks.h"

namespace striate {
namespace {

// The text without marks, and without the line break or the space that parted a mark from the words.
std::string without_marks(std::string text) {
  for (std::size_t at = text.find(kImageMark); at != std::string::npos; at = text.find(kImageMark)) {
    const std::size_t after = at + kImageMark.size();
    const bool parted = after < text.size() && (text[after] == '\n' || text[after] == ' ');
    text.erase(at, kImageMark.size() + (parted ? 1 : 0));
  }
  return text;
}

// Draws of a question depend on its id and the run's seed, not on its place.
std::uint64_t mixed_seed(std::uint64_t seed, const std::string& id) {
  return RandomStream(seed, "question " + id).bits(0);
}

}  // namespace

QuestionPrompts::QuestionPrompts(const Protocol& protocol, const QuestionSet& set, const ModelConfig& config,
                                 const Tokenizer& tokenizer, const PromptSettings& settings)
    : protocol_(protocol), set_(set), config_(config), tokenizer_(tokenizer), settings_(settings) {}

std::string QuestionPrompts::shown(const Question& question) const {
  std::string text = protocol_.prompt(question, set_);
  const bool pictures = !settings_.without_pictures && !shown_pictures(protocol_, question).empty();
  return pictures ? text : without_marks(std::move(text));
}

QuestionPrompt QuestionPrompts::of(const Question& question) const {
  QuestionPrompt prompt;
  prompt.shown = shown(question);
  if (!settings_.without_pictures) prompt.pictures = shown_pictures(protocol_, question);
  const std::size_t marks = image_marks(prompt.shown);
  if (marks != prompt.pictures.size()) {
    throw invalid_input(
        cat("the prompt has ", marks, " <image> and the question has ", prompt.pictures.size(), " pictures"),
        "ask another protocol, or leave the question out with `on_bad_sample` skip");
  }
  if (marks > 0 && !config_.vision) {
    throw invalid_input("the question has a picture, and this model has no vision tower",
                        "name a vision-language model, or ask without pictures");
  }
  for (const std::string& name : prompt.pictures) {
    if (settings_.pictures_anywhere || !std::filesystem::path(name).is_absolute()) continue;
    throw invalid_input(cat("image '", name, "' is not in the pictures' folder"), "name pictures relative to it");
  }
  GenerationOptions& options = prompt.job.options;
  options.sampling = settings_.sampling;
  options.sampling.seed = mixed_seed(settings_.sampling.seed, question.id);
  options.sampling.temperature = protocol_.decoding.temperature;
  options.max_tokens = protocol_.decoding.max_tokens;
  options.stop_strings = protocol_.decoding.stop;
  if (protocol_.bare) {
    end_as_text(options, config_);
    prompt.job.prompt.input_ids = marks > 0 ? encode_prompt(tokenizer_, prompt.shown) : encode(prompt.shown);
  } else {
    end_as_conversation(options, config_, tokenizer_, settings_.conversation);
    prompt.job.prompt.input_ids = conversation_ids(prompt.shown);
  }
  if (protocol_.kind == AnswerKind::kLetter) add_letters(question, prompt);
  if (protocol_.bare && settings_.cuts_bare_prompts) fit(prompt);
  return prompt;
}

std::vector<std::int64_t> QuestionPrompts::encode(const std::string& text) const {
  return tokenizer_.encode(text, {.add_bos = tokenizer_.adds_bos(), .parse_special = true});
}

std::vector<std::int64_t> QuestionPrompts::conversation_ids(const std::string& shown) const {
  return encode_prompt(tokenizer_,
                       render_prompt({{"human", shown}}, settings_.conversation) + protocol_.after_assistant);
}

// " A", " B", ... as lm-evaluation-harness encodes them: prompt and letter together, of which the prompt's own tokens
// are left out (lm_eval/api/model.py, _encode_pair).
void QuestionPrompts::add_letters(const Question& question, QuestionPrompt& prompt) const {
  const std::size_t length = prompt.job.prompt.input_ids.size();
  for (std::size_t i = 0; i < question.options.size(); ++i) {
    const std::string letter = cat(" ", static_cast<char>('A' + i));
    std::vector<std::int64_t> whole =
        protocol_.bare ? encode(prompt.shown + letter)
                       : encode_prompt(tokenizer_, render_prompt({{"human", prompt.shown}}, settings_.conversation) +
                                                       protocol_.after_assistant + letter);
    whole.erase(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(std::min(length, whole.size())));
    prompt.job.continuations.push_back(std::move(whole));
  }
}

// What does not fit goes at the beginning, as in lm-evaluation-harness: examples rather than the question.
void QuestionPrompts::fit(QuestionPrompt& prompt) const {
  std::int64_t answer = prompt.job.continuations.empty() ? prompt.job.options.max_tokens : 0;
  for (const auto& ids : prompt.job.continuations) {
    answer = std::max(answer, static_cast<std::int64_t>(ids.size()) - 1);
  }
  const std::int64_t most = settings_.context - answer;
  if (most < 1) {
    throw invalid_input(
        cat("an answer of ", answer, " tokens leaves no room for a question in a context of ", settings_.context),
        "name a model with a longer context, or give a larger `context`");
  }
  std::vector<std::int64_t>& ids = prompt.job.prompt.input_ids;
  prompt.cut_tokens = std::max<std::int64_t>(0, static_cast<std::int64_t>(ids.size()) - most);
  ids.erase(ids.begin(), ids.begin() + prompt.cut_tokens);
}

}  // namespace striate

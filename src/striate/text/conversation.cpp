#include "striate/text/conversation.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/pipeline.h"

namespace striate {
namespace {

constexpr std::string_view kImageText = "<image>";
constexpr std::string_view kSystem =
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions.";
constexpr std::string_view kUserRole = "USER";
constexpr std::string_view kAssistantRole = "ASSISTANT";
constexpr std::string_view kSeparator = " ";  // after the system text and after each question

struct NamedTemplate {
  std::string_view name;
  TemplateKind kind;
};

// The first name of a kind is its own; the others are what the originals also call it.
constexpr NamedTemplate kNames[] = {
    {"vicuna_v1", TemplateKind::kVicunaV1}, {"bunny", TemplateKind::kBunny}, {"llama", TemplateKind::kLlama},
    {"phi3", TemplateKind::kPhi3},          {"plain", TemplateKind::kPlain}, {"v1", TemplateKind::kVicunaV1},
    {"llama3", TemplateKind::kLlama},
};

// Bytes [begin, end) of the prompt.
struct TextRange {
  std::size_t begin;
  std::size_t end;
};

// A templated conversation, and the parts of it that are answers.
struct Rendered {
  std::string prompt;
  std::vector<TextRange> answers;
};

struct NamedRole {
  std::string_view name;
  Role role;
};

constexpr NamedRole kRoles[] = {{"human", Role::kHuman},
                                {"user", Role::kHuman},
                                {"gpt", Role::kAssistant},
                                {"assistant", Role::kAssistant},
                                {"system", Role::kSystem}};

std::string describe(std::size_t index, const Message& message) {
  return cat("message ", index + 1, " (from '", message.from, "')");
}

Role role_of(std::size_t index, const Message& message) {
  if (const auto role = parse_role(message.from)) return *role;
  throw invalid_input(
      describe(index, message) + ": unknown role",
      "a turn is from \"human\" (or \"user\") or from \"gpt\" (or \"assistant\"); a \"system\" turn may come first");
}

bool begins_with_system(const std::vector<Message>& messages) {
  return !messages.empty() && parse_role(messages.front().from) == Role::kSystem;
}

// The system text of a conversation: its own, or the template's where it has none or an empty one.
std::string system_text(const std::vector<Message>& messages) {
  if (!begins_with_system(messages) || trim(messages.front().value).empty()) return std::string(kSystem);
  if (messages.front().value.find(kImageText) != std::string::npos) {
    throw invalid_input(describe(0, messages.front()) + ": <image> in the system text",
                        "write <image> in the question that the picture belongs to");
  }
  return messages.front().value;
}

// LLaVA's preprocess_multimodal: the image stands in front of its message, once.
std::string image_first(const std::string& value) {
  if (value.find(kImageText) == std::string::npos) return value;
  const std::string text(python_strip(replace_all(value, kImageText, "")));
  return std::string(python_strip(cat(kImageText, "\n", text)));
}

// "SYSTEM USER: question ASSISTANT: answer</s>USER: ...". An empty message leaves its role and colon only.
Rendered render_turns(std::string_view system, const std::vector<std::string>& values, std::string_view stop) {
  Rendered rendered;
  rendered.prompt = cat(system, kSeparator);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool is_answer = i % 2 == 1;
    rendered.prompt += cat(is_answer ? kAssistantRole : kUserRole, ":");
    if (values[i].empty()) continue;
    const std::size_t begin = rendered.prompt.size();
    rendered.prompt += cat(" ", values[i], is_answer ? stop : kSeparator);
    if (is_answer) rendered.answers.push_back({begin, rendered.prompt.size()});
  }
  return rendered;
}

// LLaVA's preprocess_plain: the image, then the caption; whatever else the human said is left out.
Rendered render_plain(const std::vector<Message>& messages, bool has_image) {
  if (begins_with_system(messages)) {
    throw invalid_input("template 'plain' has no system text, and the conversation begins with one",
                        "plain samples are an image and its caption: leave out the system turn");
  }
  if (messages.size() != 2) {
    throw invalid_input(cat("template 'plain': ", messages.size(), " messages instead of two"),
                        "plain samples are an image and its caption");
  }
  if (messages[0].value.find(kImageText) == std::string::npos) {
    throw invalid_input("template 'plain': no <image> in the first message",
                        "plain samples are an image and its caption");
  }
  const std::string caption = has_image ? image_first(messages[1].value) : messages[1].value;
  Rendered rendered;
  rendered.prompt = cat(kImageText, caption, stop_string(TemplateKind::kPlain));
  rendered.answers.push_back({kImageText.size(), rendered.prompt.size()});
  return rendered;
}

Rendered render(const std::vector<Message>& messages, const ConversationOptions& options) {
  if (options.kind == TemplateKind::kPlain) return render_plain(messages, options.has_image);
  std::vector<std::string> values;
  for (std::size_t i = first_question(messages); i < messages.size(); ++i) {
    values.push_back(options.has_image ? image_first(messages[i].value) : messages[i].value);
  }
  return render_turns(system_text(messages), values, stop_string(options.kind));
}

// LLaVA's tokenizer_image_token: the text between images encoded piece by piece, kImageToken between the pieces. BOS
// stands at the front only.
std::vector<TokenSpan> encode_with_images(const Tokenizer& tokenizer, std::string_view prompt, bool images) {
  std::vector<TokenSpan> spans;
  const EncodeOptions first{.add_bos = tokenizer.adds_bos(), .parse_special = true};
  std::size_t begin = 0;
  while (true) {
    const std::size_t image = images ? prompt.find(kImageText, begin) : std::string_view::npos;
    const std::size_t end = std::min(image, prompt.size());
    for (TokenSpan span :
         tokenizer.encode_spans(prompt.substr(begin, end - begin), begin == 0 ? first : EncodeOptions{})) {
      spans.push_back({span.id, begin + span.begin, begin + span.end});
    }
    if (image == std::string_view::npos) return spans;
    begin = image + kImageText.size();
    spans.push_back({kImageToken, image, begin});
  }
}

// A token that stands for no byte (a space the tokenizer puts before a piece) belongs to where it stands.
bool covers(const TextRange& range, const TokenSpan& span) {
  if (span.begin == span.end) return span.begin >= range.begin && span.begin < range.end;
  return span.begin < range.end && span.end > range.begin;
}

}  // namespace

std::optional<Role> parse_role(std::string_view name) {
  for (const NamedRole& known : kRoles) {
    if (known.name == name) return known.role;
  }
  return std::nullopt;
}

std::size_t first_question(const std::vector<Message>& messages) {
  if (messages.empty()) throw invalid_input("a conversation without messages", "give at least one turn");
  std::size_t first = begins_with_system(messages) ? 1 : 0;
  if (first < messages.size() && role_of(first, messages[first]) == Role::kAssistant) ++first;
  if (first == messages.size()) {
    const bool only_system = first == 1 && begins_with_system(messages);
    throw invalid_input(cat(describe(first - 1, messages.back()),
                            only_system ? ": a system text without a conversation" : ": an answer without a question"),
                        "begin with a human turn");
  }
  for (std::size_t i = first; i < messages.size(); ++i) {
    const Role wanted = (i - first) % 2 == 0 ? Role::kHuman : Role::kAssistant;
    if (role_of(i, messages[i]) != wanted) {
      throw invalid_input(describe(i, messages[i]) + ": the turn is out of order",
                          "human and gpt must alternate, human first; a system turn comes before all others");
    }
  }
  return first;
}

TemplateKind parse_template(std::string_view name) {
  std::vector<std::string> known;
  for (const NamedTemplate& candidate : kNames) {
    if (candidate.name == name) return candidate.kind;
    known.emplace_back(candidate.name);
  }
  const std::string nearest = nearest_name(std::string(name), known);
  throw invalid_input(
      cat("unknown conversation template '", name, "'"),
      nearest.empty() ? cat("known templates: ", join(known, ", ")) : cat("did you mean '", nearest, "'?"));
}

std::string template_name(TemplateKind kind) {
  for (const NamedTemplate& candidate : kNames) {
    if (candidate.kind == kind) return std::string(candidate.name);
  }
  throw internal_error("a template without a name");
}

std::string stop_string(TemplateKind kind) {
  switch (kind) {
    case TemplateKind::kVicunaV1:
      return "</s>";
    case TemplateKind::kLlama:
      return "<|end_of_text|>";
    case TemplateKind::kBunny:
    case TemplateKind::kPhi3:
      return "<|endoftext|>";
    case TemplateKind::kPlain:
      return "\n";
  }
  throw internal_error("a template without a stop string");
}

EncodedConversation encode_conversation(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                                        const ConversationOptions& options) {
  Rendered rendered = render(messages, options);
  const bool images = options.has_image || options.kind == TemplateKind::kPlain;
  std::vector<TokenSpan> spans = encode_with_images(tokenizer, rendered.prompt, images);
  if (options.max_tokens > 0 && spans.size() > options.max_tokens) spans.resize(options.max_tokens);

  EncodedConversation encoded;
  encoded.input_ids.reserve(spans.size());
  encoded.labels.reserve(spans.size());
  const bool has_bos = tokenizer.adds_bos();
  auto answer = rendered.answers.begin();
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const TokenSpan& span = spans[i];
    // Tokens and answers both come in order: an answer that ends before this token is done with.
    while (answer != rendered.answers.end() && span.begin >= answer->end) ++answer;
    const bool is_bos = has_bos && i == 0;
    const bool learned = !is_bos && answer != rendered.answers.end() && covers(*answer, span);
    encoded.input_ids.push_back(span.id);
    encoded.labels.push_back(learned ? span.id : kIgnoreLabel);
  }
  encoded.prompt = std::move(rendered.prompt);
  return encoded;
}

std::string render_prompt(const std::vector<Message>& messages, TemplateKind kind) {
  if (messages.empty()) throw invalid_input("a conversation without messages", "give at least one turn");
  if (kind == TemplateKind::kPlain) {
    std::string prompt;
    for (const Message& message : messages) prompt += message.value;
    return prompt;
  }
  std::vector<std::string> values;
  for (std::size_t i = first_question(messages); i < messages.size(); ++i) values.push_back(messages[i].value);
  if (values.size() % 2 == 0) {
    throw invalid_input(describe(messages.size() - 1, messages.back()) + ": the conversation ends with an answer",
                        "end with a human turn");
  }
  values.emplace_back();  // the open turn
  return render_turns(system_text(messages), values, stop_string(kind)).prompt;
}

std::vector<std::int64_t> encode_prompt(const Tokenizer& tokenizer, std::string_view prompt) {
  std::vector<std::int64_t> ids;
  for (const TokenSpan& span : encode_with_images(tokenizer, prompt, true)) ids.push_back(span.id);
  return ids;
}

}  // namespace striate

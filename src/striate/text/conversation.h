// Conversations: LLaVA-format messages to prompt text, token ids and label masks.
//
// Sources: LLaVA llava/conversation.py and llava/train/train.py (preprocess_*), Bunny bunny/conversation.py and
// bunny/util/data_utils.py. Token ids and masks equal theirs wherever those do not warn or fail; where they do,
// docs/conversations.md says what Striate does instead.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "striate/text/tokenizer.h"

namespace striate {

// The placeholder of one image in token ids, as in the originals; it is not a vocabulary id.
inline constexpr std::int64_t kImageToken = -200;
// The label of a position that is not a target.
inline constexpr std::int64_t kIgnoreLabel = -100;

enum class TemplateKind {
  kVicunaV1,  // LLaVA-1.5
  kBunny,     // Bunny (phi-2, generic)
  kLlama,     // Bunny-Llama-3 (end of turn <|end_of_text|>)
  kPhi3,      // Bunny-Phi-3
  kPlain,     // alignment stage: image, then caption
};

// "vicuna_v1", "bunny", "llama", "phi3", "plain" (and the originals' aliases "v1", "llama3"); throws InvalidInput
// with the nearest name otherwise.
TemplateKind parse_template(std::string_view name);
std::string template_name(TemplateKind kind);

// One LLaVA-format turn.
struct Message {
  std::string from;  // "human" or "gpt"; "user" and "assistant" mean the same; "system" may come first
  std::string value;
};

enum class Role { kSystem, kHuman, kAssistant };
// nullopt for a word that is not a role.
std::optional<Role> parse_role(std::string_view name);

// The place of the first question: past a system turn, and past one answer before any question, which is left out as in
// the originals. Throws as encode_conversation() does where the turns after it do not alternate.
std::size_t first_question(const std::vector<Message>& messages);

// Tokens of one conversation with their labels.
struct EncodedConversation {
  std::string prompt;                   // the templated text
  std::vector<std::int64_t> input_ids;  // kImageToken where an image goes
  std::vector<std::int64_t> labels;     // same length; kIgnoreLabel where nothing is learned
};

struct ConversationOptions {
  TemplateKind kind = TemplateKind::kVicunaV1;
  // `<image>` in the text is an image, and is moved to the front of its message; otherwise it is ordinary text
  // (kPlain is always about an image).
  bool has_image = false;
  std::size_t max_tokens = 0;  // longer samples are cut to so many tokens, an image counting as one; 0: never
};

// A training sample. What is learned: every token that covers a byte of an answer, from the space before it to the end
// of its stop string. Throws InvalidInput for what cannot be a sample (unknown role, two turns of one role in a row, no
// turns), saying which message. As in the originals, one answer before the first question is left out. The text of a
// leading system turn takes the place of the template's own; an empty one leaves it, and kPlain, which has none,
// refuses it.
EncodedConversation encode_conversation(const Tokenizer& tokenizer, const std::vector<Message>& messages,
                                        const ConversationOptions& options);

// The prompt for generation: the same text up to and including the open assistant turn.
// `messages` ends with a human turn. With kPlain the prompt is the images and the text as they are.
std::string render_prompt(const std::vector<Message>& messages, TemplateKind kind);

// Ids of a prompt in which every "<image>" becomes kImageToken (LLaVA's tokenizer_image_token), BOS first where the
// model adds one.
std::vector<std::int64_t> encode_prompt(const Tokenizer& tokenizer, std::string_view prompt);

// The text that ends an answer in this template ("</s>", "<|end_of_text|>", "<|endoftext|>", "\n").
std::string stop_string(TemplateKind kind);

}  // namespace striate

// What ends an answer.
#pragma once

#include "striate/infer/generate.h"
#include "striate/model/config.h"
#include "striate/text/conversation.h"
#include "striate/text/tokenizer.h"

namespace striate {

// Adds what ends an answer in a conversation: the template's stop string and its token, the ids that the model's files
// name, and the tokenizer's end of text.
void end_as_conversation(GenerationOptions& options, const ModelConfig& config, const Tokenizer& tokenizer,
                         TemplateKind conversation);

// Adds what ends a text without a template: the ids by which transformers' generate() ends.
void end_as_text(GenerationOptions& options, const ModelConfig& config);

}  // namespace striate

// A conversation template as a Jinja text, for software that reads one (llama.cpp out of a GGUF file).
#pragma once

#include <string>

#include "striate/text/conversation.h"

namespace striate {

// Renders messages of {role, content} ("system", "user", "assistant") as render_prompt() (conversation.h) does; a
// system message takes the place of the template's own. BOS is the tokenizer's. Plain has no turns: one message after
// another.
std::string jinja_template(TemplateKind kind);

}  // namespace striate

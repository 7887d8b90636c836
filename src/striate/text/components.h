// The components that a tokenizer.json's stages are made of: Sequences taken apart, fields that several stages share.
#pragma once

#include <string>
#include <string_view>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/text/json_fields.h"

namespace striate {

// Deeper nesting of Sequence components, and more of them, than any published file has.
inline constexpr int kDeepestSequence = 16;
inline constexpr int kMostComponents = 64;

// What a component that Striate does not read is refused with (Unsupported).
Error not_implemented(const std::string& where, const std::string& what);

// Calls visit(component, where) for each component that is not a Sequence; `list` is what a Sequence calls its parts.
template <typename Visit>
void for_each_component(const Json& component, const char* list, const std::string& where, const Visit& visit,
                        int* seen = nullptr, int depth = 0) {
  if (component.is_null()) return;
  int own = 0;
  if (seen == nullptr) seen = &own;
  if (++*seen > kMostComponents) throw not_implemented(where, cat("a list of more than ", kMostComponents, " steps"));
  if (depth > kDeepestSequence) throw not_implemented(where, cat("nesting deeper than ", kDeepestSequence));
  if (json_string(component, "type", where) != "Sequence") {
    visit(component, where);
    return;
  }
  int index = 0;
  for (const Json& inner : json_array(component, list, where)) {
    for_each_component(inner, list, cat(where, ".", list, "[", index++, "]"), visit, seen, depth + 1);
  }
}

// The pattern of a Replace, where it is a string. Throws Unsupported for a regular expression.
std::string literal_pattern(const Json& component, const std::string& where);

// When Metaspace puts its mark before a text: "always", "first" (before the first one only) or "never". Older files say
// it by add_prefix_space alone. Throws CorruptData where the two contradict each other, as `tokenizers` does.
std::string prepend_scheme(const Json& component, const std::string& where);

// How many times as long replacing `pattern` by `content` may make a text.
double growth_of(std::string_view pattern, std::string_view content);

}  // namespace striate

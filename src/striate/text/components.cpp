#include "striate/text/components.h"

#include <algorithm>

namespace striate {

Error not_implemented(const std::string& where, const std::string& what) {
  return unsupported(cat(where, ": ", what, " is not implemented"),
                     "Striate reads the tokenizers of Llama, Phi and GPT-2; convert this one to one of them");
}

std::string literal_pattern(const Json& component, const std::string& where) {
  const Json& pattern = json_field(component, "pattern", where);
  if (const auto text = json_optional_string(pattern, "String", where + ".pattern")) return *text;
  throw not_implemented(where, "Replace with a Regex pattern");
}

std::string prepend_scheme(const Json& component, const std::string& where) {
  const bool prefix = json_bool(component, "add_prefix_space", true, where);
  const std::string scheme =
      json_optional_string(component, "prepend_scheme", where).value_or(prefix ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    throw not_implemented(where, cat("Metaspace prepend_scheme '", scheme, "'"));
  }
  if (!prefix && scheme != "never") {
    throw corrupt_data(cat(where, ": 'add_prefix_space' is false, but 'prepend_scheme' is '", scheme, "'"),
                       "take out the one of the two that is wrong");
  }
  return scheme;
}

double growth_of(std::string_view pattern, std::string_view content) {
  if (pattern.empty()) return 1;
  return std::max(1.0, static_cast<double>(content.size()) / static_cast<double>(pattern.size()));
}

}  // namespace striate

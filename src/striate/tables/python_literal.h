// Python literals inside cells: "['red', \"don't know\"]", as str() writes a list.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace striate {

// The items of a list or tuple of strings and numbers, as text (True, False, None and numbers as written); JSON's lists
// of strings are read alike. nullopt where `text` is not such a literal. Strings that follow one another without a
// comma are one, as in Python.
std::optional<std::vector<std::string>> parse_python_list(std::string_view text);

}  // namespace striate

#include "striate/base/toml_file.h"

#include <string_view>

// toml++ takes for granted, by its own assertions, what some damaged files do not hold (docs/reliability.md). Here they
// throw, in every kind of build, and the file is refused.
namespace striate {
struct TomlAssertion {};
}  // namespace striate
#pragma push_macro("NDEBUG")
#undef NDEBUG
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wterminate"  // in functions that must not throw, none of them the parser's
#endif
#define TOML_ASSERT(condition) (static_cast<bool>(condition) ? static_cast<void>(0) : throw striate::TomlAssertion())
#include <tomlplusplus/toml.hpp>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#pragma pop_macro("NDEBUG")

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

TomlTable toml_entries(const toml::table& table);

TomlValue toml_value(const toml::node& node) {
  TomlValue value;
  value.line = node.source().begin.line;
  if (const auto* text = node.as_string()) value.content = text->get();
  if (const auto* integer = node.as_integer()) value.content = integer->get();
  if (const auto* number = node.as_floating_point()) value.content = number->get();
  if (const auto* boolean = node.as_boolean()) value.content = boolean->get();
  if (const auto* table = node.as_table()) value.content = toml_entries(*table);
  if (const auto* array = node.as_array()) {
    TomlList items;
    for (const toml::node& item : *array) items.push_back(toml_value(item));
    value.content = std::move(items);
  }
  return value;
}

TomlTable toml_entries(const toml::table& table) {
  TomlTable entries;
  for (const auto& [key, node] : table) {
    entries.push_back({std::string(key.str()), key.source().begin.line, toml_value(node)});
  }
  return entries;
}

}  // namespace

TomlTable read_toml_file(const std::filesystem::path& path) {
  const std::string text = read_file(path, 1 << 20);
  try {
    return toml_entries(toml::parse(text, path.string()));
  } catch (const toml::parse_error& error) {
    std::string_view what = error.description();  // "Error while parsing key: expected ...": the second half says it
    if (const std::size_t colon = what.find(": "); colon != std::string_view::npos) what.remove_prefix(colon + 2);
    const auto& place = error.source().begin;
    throw corrupt_data(cat(path.string(), ":", place.line, ":", place.column, ": not valid TOML: ", what),
                       "write a line as: key = value");
  } catch (const TomlAssertion&) {
    throw corrupt_data(path.string() + ": not valid TOML", "write each line as: key = value");
  }
}

}  // namespace striate

// JSON documents out of files: one reader that bounds size, depth and number of values, whatever the file claims.
//
// A document is refused as it is read, before what is beyond a limit takes memory: nesting cannot overflow the stack,
// and 256 MB of `[],` cost what the allowed number of values costs. Every fault is one CorruptData that names the file,
// the line and the column. Strings in the result are well-formed UTF-8 and numbers are finite.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace striate {

struct JsonLimits {
  std::uint64_t bytes = 16'000'000;
  std::size_t depth = 64;          // of lists and objects in each other
  std::size_t values = 1'000'000;  // of every kind, lists and objects included
  bool repeated_keys = false;      // the last of a name counts, as in Python; otherwise they are refused
};

// config.json, adapter_config.json, preprocessor_config.json, tokenizer_config.json, manifests: the default.
inline constexpr JsonLimits kSmallJson{};
// tokenizer.json, vocab.json: two million tokens and the merges between them.
inline constexpr JsonLimits kTokenizerJson{.bytes = std::uint64_t{256} << 20, .depth = 64, .values = 8'000'000};
// striate.json and run.json: each change of a model puts its history one level deeper.
inline constexpr JsonLimits kHistoryJson{.bytes = 16'000'000, .depth = 1000, .values = 1'000'000};
// Score files: numbers of every layer, and of every pair of layers.
inline constexpr JsonLimits kScoreJson{.bytes = 256'000'000, .depth = 64, .values = 8'000'000};
// One sample of a data set, as Python wrote it.
inline constexpr JsonLimits kSampleJson{.bytes = 64'000'000, .depth = 64, .values = 1'000'000, .repeated_keys = true};
// One line of a JSON Lines file.
inline constexpr JsonLimits kLineJson{.bytes = 64'000'000, .depth = 64, .values = 1'000'000};

// The document in `text`. Throws CorruptData that names `where` (a file's path, usually), line and column: text that is
// not JSON or ends too soon, bytes that are not UTF-8, a number beyond 1.8e308, NaN, a key that occurs twice in one
// object where `limits` does not allow it, anything beyond `limits`.
nlohmann::json parse_json(std::string_view text, const std::string& where, const JsonLimits& limits = {});

// The same for text that may not be JSON, such as the last line of a file that a killed run wrote: nullopt then.
std::optional<nlohmann::json> try_parse_json(std::string_view text, const JsonLimits& limits = kLineJson);

// The document in a file. Throws what read_file() and parse_json() throw.
nlohmann::json read_json_file(const std::filesystem::path& path, const JsonLimits& limits = {});

// `value` as text, on one line when `indent` is -1. File names that are not UTF-8 may be in it: such bytes become
// U+FFFD.
std::string json_text(const nlohmann::json& value, int indent = -1);

}  // namespace striate

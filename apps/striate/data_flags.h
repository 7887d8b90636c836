// Flags of data that several commands have: each is declared once, with one name, one range and one text.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "striate/text/conversation.h"

namespace striate::app {

// The heading of --help that a flag stands under; empty: the command's own flags.
using FlagGroup = std::string;

// --template, --tokenizer.
struct TextFlags {
  std::string conversation, tokenizer;

  void add_to(CLI::App& command, const FlagGroup& group = {});
  // Throws InvalidInput for an unknown template.
  std::optional<TemplateKind> conversation_asked() const;
  // Throws InvalidInput for a path that does not exist.
  std::optional<std::filesystem::path> tokenizer_asked() const;
};

// --eval-data, --eval-images, --eval-samples, --eval-max-tokens, --eval-benchmark, --eval-protocol.
struct HeldOutFlags {
  std::string data, images, benchmark, protocol;
  std::int64_t samples = 0, max_tokens = 32;

  void add_to(CLI::App& command, const FlagGroup& group);
  // Throws InvalidInput for a benchmark without data or that there is not, and for a protocol without a benchmark.
  void check() const;
  // --eval-images, or --images where it was not given and samples are held out. Throw InvalidInput for a path that does
  // not exist.
  std::filesystem::path data_path() const;
  std::filesystem::path images_path(const std::string& images_of_data) const;
};

void add_images(CLI::App& command, std::string& images, const FlagGroup& group = {});
// `least` for both: the smallest number that the command can use.
void add_max_tokens(CLI::App& command, std::int64_t& tokens, std::int64_t least, const FlagGroup& group = {});
void add_tokens_per_stream(CLI::App& command, std::int64_t& tokens, std::int64_t least, const FlagGroup& group = {});
void add_feature_cache_dir(CLI::App& command, std::string& folder, const FlagGroup& group = {});
void add_data_threads(CLI::App& command, int& threads, const FlagGroup& group = {});
// --seed of a draw of samples.
void add_draw_seed(CLI::App& command, std::uint64_t& seed, const FlagGroup& group = {});

}  // namespace striate::app

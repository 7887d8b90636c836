#include "apps/striate/data_flags.h"

#include "apps/striate/flag_ranges.h"
#include "apps/striate/model_flags.h"
#include "striate/answers/benchmark.h"
#include "striate/base/error.h"

namespace striate::app {
namespace {

void put_under(CLI::Option* option, const FlagGroup& group) {
  if (!group.empty()) option->group(group);
}

}  // namespace

void TextFlags::add_to(CLI::App& command, const FlagGroup& group) {
  put_under(command.add_option("--template", conversation,
                               "Conversation template: vicuna_v1, bunny, llama, phi3 or plain; default: the model's"),
            group);
  put_under(command.add_option("--tokenizer", tokenizer, "Folder or file of a tokenizer; default: the model's")
                ->type_name("PATH"),
            group);
}

std::optional<TemplateKind> TextFlags::conversation_asked() const {
  if (conversation.empty()) return std::nullopt;
  return parse_template(conversation);
}

std::optional<std::filesystem::path> TextFlags::tokenizer_asked() const {
  if (tokenizer.empty()) return std::nullopt;
  return existing_path("--tokenizer", tokenizer);
}

void HeldOutFlags::add_to(CLI::App& command, const FlagGroup& group) {
  put_under(
      command
          .add_option(
              "--eval-data", data,
              "Held-out samples to measure loss and exact answers on; with --eval-benchmark: the folder of its files")
          ->type_name("FILE"),
      group);
  put_under(command
                .add_option("--eval-benchmark", benchmark,
                            "Benchmark to ask instead of held-out samples: a name of striate eval list")
                ->type_name("NAME"),
            group);
  put_under(command
                .add_option("--eval-protocol", protocol,
                            "By whose rules the benchmark is asked and scored; default: the first of eval list")
                ->type_name("NAME"),
            group);
  put_under(command
                .add_option("--eval-images", images,
                            "Folder of the held-out samples' pictures; default: --images; of a benchmark's: looked for "
                            "in --eval-data")
                ->type_name("DIR"),
            group);
  put_under(command
                .add_option("--eval-samples", samples,
                            "Number of held-out samples or questions to use, from the first on; 0: all")
                ->check(whole_number(0, kMostSamples))
                ->capture_default_str(),
            group);
  put_under(command.add_option("--eval-max-tokens", max_tokens, "Maximum length of a held-out answer, in tokens")
                ->check(whole_number(1, kMostTokens))
                ->capture_default_str(),
            group);
}

void HeldOutFlags::check() const {
  if (benchmark.empty()) {
    if (protocol.empty()) return;
    throw invalid_input("--eval-protocol needs a benchmark", "give its name with --eval-benchmark");
  }
  const Benchmark& asked = find_benchmark(benchmark);
  if (!protocol.empty()) find_protocol(asked, protocol);
  if (data.empty()) {
    throw invalid_input("--eval-benchmark needs the benchmark's files", "give their folder with --eval-data");
  }
}

std::filesystem::path HeldOutFlags::data_path() const {
  return existing_path("--eval-data", data);
}

std::filesystem::path HeldOutFlags::images_path(const std::string& images_of_data) const {
  if (!images.empty()) return existing_path("--eval-images", images);
  return benchmark.empty() ? existing_path("--images", images_of_data) : std::filesystem::path();
}

void add_images(CLI::App& command, std::string& images, const FlagGroup& group) {
  put_under(command.add_option("--images", images, "Folder of the data's pictures")->type_name("DIR"), group);
}

void add_max_tokens(CLI::App& command, std::int64_t& tokens, std::int64_t least, const FlagGroup& group) {
  put_under(command
                .add_option("--max-tokens", tokens,
                            "Maximum length of a sample in tokens, image rows included; longer samples are cut")
                ->check(whole_number(least, kMostTokens))
                ->capture_default_str(),
            group);
}

void add_tokens_per_stream(CLI::App& command, std::int64_t& tokens, std::int64_t least, const FlagGroup& group) {
  put_under(
      command.add_option("--tokens-per-stream", tokens, "Maximum number of tokens that pass through the model at once")
          ->check(whole_number(least, kMostTokens))
          ->capture_default_str(),
      group);
}

void add_feature_cache_dir(CLI::App& command, std::string& folder, const FlagGroup& group) {
  put_under(command.add_option("--feature-cache-dir", folder, "Folder of a cache of pictures' features on disk")
                ->type_name("DIR"),
            group);
}

void add_data_threads(CLI::App& command, int& threads, const FlagGroup& group) {
  put_under(command.add_option("--data-threads", threads, "Number of threads that read, decode and tokenise")
                ->check(whole_number(1, kMostThreads))
                ->capture_default_str(),
            group);
}

void add_draw_seed(CLI::App& command, std::uint64_t& seed, const FlagGroup& group) {
  put_under(command.add_option("--seed", seed, "Seed that selects these samples")
                ->check(whole_number(0, kMostSeed))
                ->capture_default_str(),
            group);
}

}  // namespace striate::app

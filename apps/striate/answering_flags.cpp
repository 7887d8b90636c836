#include "apps/striate/answering_flags.h"

#include "apps/striate/flag_ranges.h"
#include "striate/base/byte_size.h"
#include "striate/model/config_bounds.h"
#include "striate/train/plan.h"

namespace striate::app {
namespace {

constexpr std::int64_t kMostSequences = 4096;

std::uint64_t half_of_what_is_free() {
  constexpr std::uint64_t kWhereUnknown = 4'000'000'000;
  const std::int64_t free = free_memory();
  return free > 0 ? static_cast<std::uint64_t>(free) / 2 : kWhereUnknown;
}

}  // namespace

void AnsweringFlags::add_to(CLI::App& c) {
  c.add_option("--memory-budget", memory_budget,
               "Memory beside the weights, such as 8GB; default: half of what is free")
      ->type_name("BYTES");
  c.add_option("--answers-at-once", sequences, "Maximum number of answers under way at a time")
      ->check(whole_number(1, kMostSequences))
      ->capture_default_str();
  c.add_option("--context", context, "Maximum length of prompt and answer together; default: the model's")
      ->check(whole_number(1, kMostPositions))
      ->type_name("TOKENS");
  text.add_to(c);
  c.add_option("--on-bad-sample", on_bad, "Action on a question that cannot be asked, or a malformed row: stop or skip")
      ->check(CLI::IsMember({"stop", "skip"}))
      ->capture_default_str();
  add_feature_cache_dir(c, feature_cache_folder);
  add_data_threads(c, data_threads);
  compute.add_to(c);
}

void AnsweringFlags::fill(AnswererSettings& settings, const Ranks& ranks) const {
  settings.model = model.paths();
  settings.placement = compute.placement(ranks);
  settings.tokenizer = text.tokenizer_asked();
  settings.conversation = text.conversation_asked();
  settings.memory_budget =
      memory_budget.empty() ? half_of_what_is_free() : parse_bytes(memory_budget, "--memory-budget");
  settings.sequences = sequences;
  settings.context = context;
  settings.feature_cache_folder = feature_cache_folder;
  settings.data_threads = data_threads;
}

OnBadSample AnsweringFlags::on_bad_sample() const {
  return on_bad == "skip" ? OnBadSample::kSkip : OnBadSample::kStop;
}

}  // namespace striate::app

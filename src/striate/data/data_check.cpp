#include "striate/data/data_check.h"

#include <algorithm>
#include <unordered_map>

namespace striate {
namespace {

std::int64_t length_class(std::int64_t tokens) {
  std::int64_t bound = DataReport::kShortestClass;
  while (bound < tokens) bound *= 2;
  return bound;
}

std::int64_t count_answers(const EncodedSample& sample) {
  std::int64_t answers = 0;
  for (std::size_t i = 1; i < sample.labels.size(); ++i) {
    if (sample.labels[i] != kIgnoreLabel && sample.labels[i - 1] == kIgnoreLabel) ++answers;
  }
  return answers;
}

void count(DataReport& report, const CheckedSample& checked) {
  if (checked.bad) {
    BadTally& tally = report.bad[checked.bad->reason];
    ++tally.count;
    tally.samples.push_back(*checked.bad);
    return;
  }
  const EncodedSample& sample = checked.sample;
  ++report.good;
  report.with_images += sample.images.empty() ? 0 : 1;
  report.images += static_cast<std::int64_t>(sample.images.size());
  report.turns += count_answers(sample);
  report.tokens += sample.tokens;
  report.targets += sample.targets;
  report.truncated += sample.truncated ? 1 : 0;
  report.longest = std::max(report.longest, sample.tokens);
  ++report.lengths[length_class(sample.tokens)];
}

}  // namespace

DataReport check_data(const ModelConfig& config, const Tokenizer& tokenizer, const DataCheckOptions& options,
                      const std::function<void(std::int64_t, std::int64_t)>& progress) {
  check_images_folder(options.images);
  const Dataset data(options.data);
  const SampleEncoder encoder(config, tokenizer, options.conversation, options.max_tokens);
  PictureChecker pictures(PictureFolder(options.images, options.preprocess));
  DataReport report;
  report.samples = data.size();
  std::unordered_map<std::string, std::int64_t> ids;
  WorkerPool pool(options.threads);
  check_samples(data, encoder, pictures, pool, 0, data.size(), [&](const CheckedSample& checked) {
    count(report, checked);
    if (!checked.id.empty()) ++ids[checked.id];
    if (progress) progress(1, report.samples);
  });
  for (const auto& [id, times] : ids) {
    if (times > 1) report.duplicate_ids.emplace(id, times);
  }
  return report;
}

}  // namespace striate

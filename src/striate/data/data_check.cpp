#include "striate/data/data_check.h"

#include <algorithm>
#include <thread>
#include <unordered_map>

#include "striate/base/strings.h"
#include "striate/data/images_folder.h"
#include "striate/model/picture_settings.h"

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

void count(DataReport& report, const CheckedSample& checked, std::size_t keep) {
  if (checked.bad) {
    BadTally& tally = report.bad[checked.bad->reason];
    ++tally.count;
    if (tally.samples.size() < keep) tally.samples.push_back(*checked.bad);
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
  PictureChecker pictures(PictureFolder(options.images, options.preprocess, data.pictures()));
  DataReport report;
  report.conversation = options.conversation;
  report.samples = data.size();
  std::unordered_map<std::string, std::int64_t> ids;
  WorkerPool pool(options.threads);
  check_samples(data, encoder, pictures, pool, 0, data.size(), [&](const CheckedSample& checked) {
    count(report, checked, options.keep);
    if (!checked.form.empty()) ++report.forms[checked.form];
    if (!checked.id.empty()) ++ids[checked.id];
    if (progress) progress(1, report.samples);
  });
  for (const auto& [id, times] : ids) {
    if (times > 1) report.duplicate_ids.emplace(id, times);
  }
  if (report.bad.contains(BadReason::kMissingImage) && !report.bad.contains(BadReason::kBrokenImage) &&
      !pictures.found_any()) {
    report.wrong_folder = wrong_images_folder(data, pictures.folder());
  }
  return report;
}

DataReport check_data(const DataCheckRequest& request,
                      const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const Checkpoint checkpoint = open_checkpoint(request.model);
  const ModelConfig& config = checkpoint.config;
  const std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(request.tokenizer.value_or(checkpoint.folder));
  DataCheckOptions options;
  options.data = request.data;
  options.images = request.images;
  if (config.vision) options.preprocess = preprocess_config(config, checkpoint.folder);
  options.conversation = request.conversation.value_or(default_template(config.family));
  options.max_tokens = request.max_tokens;
  options.threads = request.threads;
  if (request.threads == 0) options.threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  if (request.keep) options.keep = *request.keep;
  return check_data(config, *tokenizer, options, progress);
}

void require_good_samples(const DataCheckRequest& request, const DataReport& report) {
  if (report.bad_count() == 0) return;
  if (report.wrong_folder) throw Error(*report.wrong_folder);
  throw invalid_input(cat(request.data.string(), ": ", report.bad_count(), " of ", report.samples, " samples are bad"),
                      "repair or remove them; a training with `on_bad_sample` skip leaves out a few");
}

}  // namespace striate

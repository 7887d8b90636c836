#include "striate/data/evaluation_set.h"

#include <algorithm>
#include <future>
#include <optional>

#include "striate/base/strings.h"
#include "striate/data/dataset.h"
#include "striate/data/picture_features.h"
#include "striate/data/sample_check.h"
#include "striate/data/sample_encoder.h"
#include "striate/data/sample_order.h"

namespace striate {
namespace {

// Where each answer begins: the first of a run of labels.
std::vector<std::size_t> answer_begins(const EncodedSample& sample) {
  std::vector<std::size_t> begins;
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    const bool learned = sample.labels[i] != kIgnoreLabel;
    if (learned && (i == 0 || sample.labels[i - 1] == kIgnoreLabel)) begins.push_back(i);
  }
  return begins;
}

std::vector<std::string> reference_answers(const Record& record) {
  std::vector<std::string> answers;
  // One leading message that is not from the human is left out, as in training.
  for (std::size_t i = 0; i < record.turns.size(); ++i) {
    const Message& turn = record.turns[i];
    if (i > 0 && turn.from == "gpt" && !turn.value.empty()) answers.emplace_back(trim(turn.value));
  }
  return answers;
}

// Places in the file, ascending.
std::vector<std::int64_t> chosen_samples(const EvaluationOptions& options, std::int64_t size) {
  const std::int64_t count = options.most_items > 0 ? std::min(options.most_items, size) : size;
  const std::vector<std::uint32_t> order =
      epoch_order(size, options.draw_seed.value_or(0), 0, options.draw_seed.has_value());
  std::vector<std::int64_t> chosen(order.begin(), order.begin() + count);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

Sample prompt_of(const Sample& sample, std::size_t end) {
  Sample prompt;
  prompt.input_ids.assign(sample.input_ids.begin(), sample.input_ids.begin() + static_cast<std::ptrdiff_t>(end));
  const auto images = std::count(prompt.input_ids.begin(), prompt.input_ids.end(), kImageToken);
  prompt.images.assign(sample.images.begin(), sample.images.begin() + images);
  return prompt;
}

}  // namespace

struct EvaluationSet::State {
  State(const Lvlm& model, const Tokenizer& tokenizer, const EvaluationOptions& options)
      : device(model.placement().device),
        options(options),
        data(options.data),
        encoder(model.config(), tokenizer, options.conversation, options.max_tokens),
        pool(options.threads),
        pictures(model,
                 {.images = options.images,
                  .preprocess = options.preprocess,
                  .cache_bytes = options.feature_cache_bytes,
                  .cache_folder = options.feature_cache_folder},
                 pool) {
    check_images_folder(options.images);
    const std::vector<std::int64_t> chosen = chosen_samples(options, data.size());
    std::optional<SkippedSample> first;
    check_samples(data, encoder, pictures.checker(), pool, chosen, [&](const CheckedSample& checked) {
      if (!checked.bad) return good.push_back(checked.index);
      if (!first) first = checked.bad;
      if (options.on_bad_sample == OnBadSample::kStop) {
        throw BadSample(checked.bad->reason, checked.bad->message, "striate data check lists all such samples");
      }
    });
    if (good.empty()) {
      throw invalid_input(cat(options.data.string(), ": no good sample in it, the first: ", first->message),
                          "striate data check lists what is wrong");
    }
    skipped = static_cast<std::int64_t>(chosen.size()) - static_cast<std::int64_t>(good.size());
  }
  ~State() { pool.stop(); }

  at::Device device;
  EvaluationOptions options;
  Dataset data;
  SampleEncoder encoder;
  WorkerPool pool;
  PictureFeatures pictures;
  std::vector<std::int64_t> good;
  std::int64_t skipped = 0;
};

EvaluationSet::EvaluationSet(const Lvlm& model, const Tokenizer& tokenizer, const EvaluationOptions& options)
    : state_(std::make_unique<State>(model, tokenizer, options)) {}

EvaluationSet::~EvaluationSet() = default;

std::int64_t EvaluationSet::size() const {
  return static_cast<std::int64_t>(state_->good.size());
}

std::int64_t EvaluationSet::skipped() const {
  return state_->skipped;
}

void EvaluationSet::forget_features() {
  if (!state_->options.feature_cache_folder.empty()) throw internal_error("features on disk of a tower that changes");
  state_->pictures.forget();
}

std::vector<Sample> EvaluationSet::samples(std::span<const std::int64_t> indices) {
  State& s = *state_;
  std::vector<Sample> samples;
  std::vector<std::size_t> images;
  std::vector<std::future<LoadedPicture>> loading;
  for (const std::int64_t index : indices) {
    const std::int64_t number = s.good.at(static_cast<std::size_t>(index));
    EncodedSample encoded = s.encoder.encode(s.data.read(number), s.data.place(number));
    Sample& sample = samples.emplace_back();
    sample.input_ids = std::move(encoded.input_ids);
    sample.labels = std::move(encoded.labels);
    images.push_back(encoded.images.size());
    for (const std::string& image : encoded.images) {
      loading.push_back(s.pool.submit(Urgency::kSoon, [&s, image] { return s.pictures.load(image); }));
    }
  }
  // Every picture is awaited before an exception leaves.
  for (const auto& picture : loading) picture.wait();
  std::size_t next = 0;
  const std::vector<at::Tensor> features = s.pictures.features(loading.size(), [&] { return loading[next++].get(); });
  auto feature = features.begin();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (std::size_t k = 0; k < images[i]; ++k) samples[i].images.push_back((feature++)->to(s.device));
  }
  return samples;
}

EvaluationItem EvaluationSet::item(std::int64_t index) {
  State& s = *state_;
  const std::int64_t number = s.good.at(static_cast<std::size_t>(index));
  const Record record = s.data.read(number);
  EncodedSample encoded = s.encoder.encode(record, s.data.place(number));
  EvaluationItem item;
  item.name = sample_name(s.data, number, encoded.id);
  item.targets = encoded.targets;
  const std::vector<std::size_t> begins = answer_begins(encoded);
  item.sample.input_ids = std::move(encoded.input_ids);
  item.sample.labels = std::move(encoded.labels);
  std::size_t next = 0;
  item.sample.images =
      s.pictures.features(encoded.images.size(), [&] { return s.pictures.load(encoded.images[next++]); });
  for (at::Tensor& features : item.sample.images) features = features.to(s.device);
  const std::vector<std::string> answers = reference_answers(record);
  for (std::size_t i = 0; i < std::min(begins.size(), answers.size()); ++i) {
    item.turns.push_back({prompt_of(item.sample, begins[i]), answers[i]});
  }
  return item;
}

}  // namespace striate

#include "striate/eval/evaluation_set.h"

#include <algorithm>
#include <future>
#include <optional>

#include "striate/base/strings.h"
#include "striate/data/dataset.h"
#include "striate/data/images_folder.h"
#include "striate/data/picture_features.h"
#include "striate/data/sample_check.h"
#include "striate/data/sample_encoder.h"
#include "striate/data/sample_order.h"
#include "striate/data/shared_check.h"

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

std::vector<std::string> reference_answers(const Record& record, TemplateKind kind) {
  if (kind == TemplateKind::kPlain) return {std::string(trim(record.turns.at(1).value))};
  std::vector<std::string> answers;
  // What stands before the first question is left out, as in training.
  for (std::size_t i = first_question(record.turns); i < record.turns.size(); ++i) {
    const Message& turn = record.turns[i];
    if (parse_role(turn.from) == Role::kAssistant && !turn.value.empty()) answers.emplace_back(trim(turn.value));
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

struct CheckedSamples::State {
  State(const ModelConfig& config, const Tokenizer& tokenizer, const EvaluationOptions& options)
      : options(options),
        data(options.data),
        encoder(config, tokenizer, options.conversation, options.max_tokens),
        pool(options.threads),
        checker(picture_folder(config, options.images, options.preprocess, data.pictures())) {
    check_images_folder(options.images);
    const std::vector<std::int64_t> chosen = chosen_samples(options, data.size());
    std::optional<SkippedSample> first;
    const auto visit = [&](const CheckedSample& checked) {
      if (!checked.bad) return good.push_back(checked.index);
      if (!first) first = checked.bad;
      if (options.on_bad_sample == OnBadSample::kStop) {
        ask_about_folder(*checked.bad);
        throw BadSample(checked.bad->reason, checked.bad->message,
                        cat(checked.bad->hint, "; striate data check lists all such samples"));
      }
    };
    if (options.exchange) {
      visit_shared(data, encoder, checker, pool, chosen, *options.exchange, visit);
    } else {
      check_samples(data, encoder, checker, pool, chosen, visit);
    }
    if (good.empty()) {
      ask_about_folder(*first);
      throw invalid_input(cat(options.data.string(), ": no sample is good; the first: ", first->message),
                          cat(first->hint, "; striate data check lists what is wrong"));
    }
    skipped = static_cast<std::int64_t>(chosen.size()) - static_cast<std::int64_t>(good.size());
  }
  ~State() { pool.stop(); }

  // Throws where a missing picture is none among others that are there.
  void ask_about_folder(const SkippedSample& bad) {
    if (bad.reason != BadReason::kMissingImage) return;
    if (const auto wrong = wrong_images_folder(data, checker.folder())) throw Error(*wrong);
  }

  EvaluationOptions options;
  Dataset data;
  SampleEncoder encoder;
  WorkerPool pool;
  PictureChecker checker;
  std::vector<std::int64_t> good;
  std::int64_t skipped = 0;
};

CheckedSamples::CheckedSamples(const ModelConfig& config, const Tokenizer& tokenizer, const EvaluationOptions& options)
    : state_(std::make_unique<State>(config, tokenizer, options)) {}

CheckedSamples::CheckedSamples(CheckedSamples&&) noexcept = default;
CheckedSamples& CheckedSamples::operator=(CheckedSamples&&) noexcept = default;
CheckedSamples::~CheckedSamples() = default;

std::int64_t CheckedSamples::size() const {
  return static_cast<std::int64_t>(state_->good.size());
}

struct EvaluationSet::Pictures {
  Pictures(const Lvlm& model, CheckedSamples::State& samples)
      : features(model, samples.checker.folder(),
                 {.bytes = samples.options.feature_cache_bytes,
                  .folder = samples.options.feature_cache_folder,
                  .notes = samples.options.notes},
                 samples.pool),
        pool(samples.pool) {}
  ~Pictures() { pool.stop(); }

  PictureFeatures features;
  WorkerPool& pool;
};

EvaluationSet::EvaluationSet(const Lvlm& model, CheckedSamples samples)
    : checked_(std::move(samples)), pictures_(std::make_unique<Pictures>(model, *checked_.state_)) {}

EvaluationSet::EvaluationSet(const Lvlm& model, const Tokenizer& tokenizer, const EvaluationOptions& options)
    : EvaluationSet(model, CheckedSamples(model.config(), tokenizer, options)) {}

EvaluationSet::~EvaluationSet() = default;

std::int64_t EvaluationSet::size() const {
  return checked_.size();
}

std::int64_t EvaluationSet::skipped() const {
  return checked_.state_->skipped;
}

void EvaluationSet::forget_features() {
  pictures_->features.forget();
}

std::vector<Sample> EvaluationSet::samples(std::span<const std::int64_t> indices) {
  CheckedSamples::State& s = *checked_.state_;
  PictureFeatures& pictures = pictures_->features;
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
      loading.push_back(s.pool.submit(Urgency::kSoon, [&pictures, image] { return pictures.load(image); }));
    }
  }
  // Every picture is awaited before an exception leaves.
  for (const auto& picture : loading) picture.wait();
  std::size_t next = 0;
  const std::vector<at::Tensor> features = pictures.features(loading.size(), [&] { return loading[next++].get(); });
  auto feature = features.begin();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    for (std::size_t k = 0; k < images[i]; ++k) samples[i].images.push_back(*feature++);
  }
  return samples;
}

EvaluationItem EvaluationSet::item(std::int64_t index) {
  CheckedSamples::State& s = *checked_.state_;
  PictureFeatures& pictures = pictures_->features;
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
  item.sample.images = pictures.features(encoded.images.size(), [&] { return pictures.load(encoded.images[next++]); });
  const std::vector<std::string> answers = reference_answers(record, s.options.conversation);
  for (std::size_t i = 0; i < std::min(begins.size(), answers.size()); ++i) {
    item.turns.push_back({prompt_of(item.sample, begins[i]), answers[i]});
  }
  return item;
}

}  // namespace striate

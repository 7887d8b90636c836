#include "striate/eval/layer_scoring.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/eval/measured_model.h"
#include "striate/region/param_change.h"
#include "striate/tensor/machine.h"
#include "striate/tensor/torch_errors.h"
#include "striate/version.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kItemsAtOnce = 16;  // whose pictures are read and looked at together

// Samples on their way into a stream.
class Packer {
 public:
  Packer(const Lvlm& model, LayerScoreCollector& collector, std::int64_t most_tokens)
      : model_(model), collector_(collector), most_tokens_(most_tokens) {}

  void add(Sample sample) {
    const std::int64_t length = stream_length(sample);
    if (tokens_ + length > most_tokens_) flush();
    tokens_ += length;
    waiting_.push_back(std::move(sample));
  }
  void flush() {
    if (!waiting_.empty()) collector_.add(model_, pack(waiting_));
    waiting_.clear();
    tokens_ = 0;
  }

 private:
  const Lvlm& model_;
  LayerScoreCollector& collector_;
  std::int64_t most_tokens_;
  std::int64_t tokens_ = 0;
  std::vector<Sample> waiting_;
};

std::string absolute_text(const fs::path& path) {
  return full_path(path).string();
}

void check_request(const LayerScoringRequest& request) {
  if (request.data.data.empty() && !request.base) {
    throw invalid_input("neither `data` nor `base` was given",
                        "give `data` FILE to score the layers' hidden states, `base` DIR to score the change of their "
                        "weights, or both");
  }
  if (request.tokens_per_stream < 1) {
    throw invalid_input(cat("`tokens_per_stream` ", request.tokens_per_stream, " is less than 1"), "give 1 or more");
  }
}

// All that a run works with.
class Scoring {
 public:
  Scoring(const LayerScoringRequest& request, Collective& ranks, const ScoringObserver& observer)
      : request_(request),
        ranks_(ranks),
        observer_(observer),
        checkpoint_(open_checkpoint(request.model)),
        region_(
            region_of_setting(request.region, checkpoint_).value_or(LayerSet(checkpoint_.config.decoder.layers, {}))),
        base_(open_base(request)),
        tokenizer_(open_tokenizer(request, checkpoint_)),
        samples_(check_samples()),
        model_(load_model(checkpoint_, request.placement)) {}

  ScoreFile go() {
    ScoreFile scores;
    scores.model = measured_name(checkpoint_);
    scores.layers = model_->config().decoder.layers;
    scores.decoder = decoder_shape(model_->config().decoder);
    scores.settings = {{"version", STRIATE_VERSION},
                       {"model", absolute_text(checkpoint_.folder)},
                       {"family", family_name(checkpoint_.config.family)}};
    if (request_.model.adapter) scores.settings["adapter"] = absolute_text(*request_.model.adapter);
    if (!region_.empty()) scores.settings["region"] = region_.record();
    if (base_) compare_with_base(scores);
    if (samples_) score_data(scores);
    ranks_.finish();
    return scores;
  }

 private:
  static std::optional<Checkpoint> open_base(const LayerScoringRequest& request) {
    if (!request.base) return std::nullopt;
    ModelPaths paths;
    paths.model = *request.base;
    return open_checkpoint(paths);
  }

  static std::shared_ptr<const Tokenizer> open_tokenizer(const LayerScoringRequest& request,
                                                         const Checkpoint& checkpoint) {
    if (request.data.data.empty()) return nullptr;
    return load_tokenizer(request.tokenizer.value_or(checkpoint.folder));
  }

  TemplateKind conversation() const {
    return request_.conversation.value_or(default_template(checkpoint_.config.family));
  }

  std::optional<CheckedSamples> check_samples() const {
    if (tokenizer_ == nullptr) return std::nullopt;
    EvaluationOptions data = data_for_model(request_.data, checkpoint_);
    data.conversation = conversation();
    data.notes = observer_.notes;
    return CheckedSamples(checkpoint_.config, *tokenizer_, data);
  }

  // Cheap beside everything else: every rank does it.
  void compare_with_base(ScoreFile& scores) {
    report(param_change(*model_, *base_, &checkpoint_.weights), scores);
    scores.settings["base"] = absolute_text(*request_.base);
  }

  void score_data(ScoreFile& scores) {
    const EvaluationData& data = request_.data;
    EvaluationSet set(*model_, std::move(*samples_));
    const auto begin = std::chrono::steady_clock::now();
    const LayerScoreCollector collector =
        score_samples(*model_, set, ranks_, request_.scores, request_.tokens_per_stream, observer_.progress);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    collector.report(scores);
    json& s = scores.settings;
    s["data"] = absolute_text(data.data);
    s["samples_asked"] = data.most_items;
    s["samples_bad"] = set.skipped();
    s["seed"] = data.draw_seed ? json(*data.draw_seed) : json(nullptr);
    s["template"] = template_name(conversation());
    s["max_tokens"] = data.max_tokens;
    s["tokens_per_stream"] = request_.tokens_per_stream;
    s["after_final_norm"] = request_.scores.after_final_norm;
    s["hardware"] =
        hardware_description(request_.placement.device.str(), compute_name(request_.placement.compute), ranks_.size());
    s["seconds"] = seconds.count();
  }

  const LayerScoringRequest& request_;
  Collective& ranks_;
  const ScoringObserver& observer_;
  Checkpoint checkpoint_;
  LayerSet region_;  // of settings
  std::optional<Checkpoint> base_;
  std::shared_ptr<const Tokenizer> tokenizer_;  // none: no data
  std::optional<CheckedSamples> samples_;       // none: no data
  std::unique_ptr<Lvlm> model_;
};

}  // namespace

LayerScoreCollector score_samples(const Lvlm& model, EvaluationSet& set, Collective& ranks,
                                  const LayerScoreOptions& options, std::int64_t tokens_per_stream,
                                  const ScoringProgress& progress) {
  LayerScoreCollector collector(model.config().decoder, options);
  Packer packer(model, collector, tokens_per_stream);
  std::vector<std::int64_t> own;
  for (std::int64_t i = ranks.rank(); i < set.size(); i += ranks.size()) own.push_back(i);
  const auto total = static_cast<std::int64_t>(own.size());
  for (std::size_t begin = 0; begin < own.size(); begin += kItemsAtOnce) {
    const std::size_t count = std::min(kItemsAtOnce, own.size() - begin);
    for (Sample& sample : set.samples(std::span(own).subspan(begin, count))) {
      packer.add(std::move(sample));
      if (progress) progress(collector.samples(), total);
    }
  }
  packer.flush();
  if (progress) progress(collector.samples(), total);
  collector.combine([&](std::span<double> values) { ranks.sum(values); });
  return collector;
}

ScoreFile score_layers(const LayerScoringRequest& request, const Ranks& ranks, const ScoringObserver& observer) {
  check_request(request);
  const std::unique_ptr<Collective> group = join_ranks(ranks, request.placement.device, observer.notes);
  try {
    return Scoring(request, *group, observer).go();
  } catch (const std::exception& error) {
    group->report_failure(explain(error).what());
    throw;
  }
}

}  // namespace striate

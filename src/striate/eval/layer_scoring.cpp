#include "striate/eval/layer_scoring.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/region/param_change.h"
#include "striate/train/run_record.h"

namespace striate {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::size_t kItemsAtOnce = 16;  // whose pictures are read and looked at together

// Positions a sample takes in a stream.
std::int64_t length_of(const Sample& sample) {
  std::int64_t length = static_cast<std::int64_t>(sample.input_ids.size());
  for (const at::Tensor& image : sample.images) length += image.size(0) - 1;
  return length;
}

// Samples on their way into a stream.
class Packer {
 public:
  Packer(const Lvlm& model, LayerScoreCollector& collector, std::int64_t most_tokens)
      : model_(model), collector_(collector), most_tokens_(most_tokens) {}

  void add(Sample sample) {
    const std::int64_t length = length_of(sample);
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
  return fs::absolute(path).lexically_normal().string();
}

void check_request(const LayerScoringRequest& request) {
  if (request.data.data.empty() && !request.base) {
    throw invalid_input("nothing to score with: neither --data nor --base was given",
                        "give --data FILE for scores of what passes through the layers, --base DIR for what tuning "
                        "changed in them, or both");
  }
  if (request.tokens_per_stream < 1) {
    throw invalid_input(cat("--tokens-per-stream ", request.tokens_per_stream), "give 1 or more");
  }
}

// All that a run works with.
class Scoring {
 public:
  Scoring(const LayerScoringRequest& request, Collective& ranks, const ScoringProgress& progress)
      : request_(request),
        ranks_(ranks),
        progress_(progress),
        checkpoint_(open_checkpoint(request.model)),
        model_(load_model(checkpoint_, request.placement)) {}

  ScoreFile go() {
    ScoreFile scores;
    scores.model = model_name();
    scores.layers = model_->config().decoder.layers;
    scores.decoder = decoder_shape(model_->config().decoder);
    scores.settings = {{"version", request_.version},
                       {"model", absolute_text(checkpoint_.folder)},
                       {"family", family_name(checkpoint_.config.family)}};
    if (request_.model.adapter) scores.settings["adapter"] = absolute_text(*request_.model.adapter);
    if (request_.base) compare_with_base(scores);
    if (!request_.data.data.empty()) score_data(scores);
    ranks_.finish();
    return scores;
  }

 private:
  std::string model_name() const {
    const auto name = [](const fs::path& folder) {
      const fs::path whole = fs::absolute(folder).lexically_normal();
      return (whole.has_filename() ? whole : whole.parent_path()).filename().string();
    };
    const std::string model = name(checkpoint_.folder);
    return request_.model.adapter ? cat(model, " with ", name(*request_.model.adapter)) : model;
  }

  // Cheap beside everything else: every rank does it.
  void compare_with_base(ScoreFile& scores) {
    ModelPaths paths;
    paths.model = *request_.base;
    report(param_change(*model_, open_checkpoint(paths)), scores);
    scores.settings["base"] = absolute_text(*request_.base);
  }

  void score_data(ScoreFile& scores) {
    const std::shared_ptr<const Tokenizer> tokenizer = load_tokenizer(request_.tokenizer.value_or(checkpoint_.folder));
    EvaluationOptions data = request_.data;
    const ModelConfig& config = checkpoint_.config;
    data.conversation = request_.conversation.value_or(default_template(config.family));
    if (config.vision && !data.preprocess) data.preprocess = preprocess_config(config, checkpoint_.folder);
    EvaluationSet set(*model_, *tokenizer, data);
    const auto begin = std::chrono::steady_clock::now();
    const LayerScoreCollector collector =
        score_samples(*model_, set, ranks_, request_.scores, request_.tokens_per_stream, progress_);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    collector.report(scores);
    json& s = scores.settings;
    s["data"] = absolute_text(data.data);
    s["samples_asked"] = data.most_items;
    s["samples_bad"] = set.skipped();
    s["seed"] = data.draw_seed ? json(*data.draw_seed) : json(nullptr);
    s["template"] = template_name(data.conversation);
    s["max_tokens"] = data.max_tokens;
    s["tokens_per_stream"] = request_.tokens_per_stream;
    s["after_final_norm"] = request_.scores.after_final_norm;
    s["hardware"] =
        hardware_description(request_.placement.device.str(), compute_name(request_.placement.compute), ranks_.size());
    s["seconds"] = seconds.count();
  }

  const LayerScoringRequest& request_;
  Collective& ranks_;
  const ScoringProgress& progress_;
  Checkpoint checkpoint_;
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
  collector.combine([&](const at::Tensor& tensor) { ranks.sum(tensor); });
  return collector;
}

ScoreFile score_layers(const LayerScoringRequest& request, const Ranks& ranks, const ScoringProgress& progress) {
  check_request(request);
  const std::unique_ptr<Collective> group = join_ranks(ranks, request.placement.device);
  try {
    return Scoring(request, *group, progress).go();
  } catch (const std::exception& error) {
    group->report_failure(error.what());
    throw;
  }
}

}  // namespace striate

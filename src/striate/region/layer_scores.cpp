#include "striate/region/layer_scores.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/spare_tokens.h"
#include "striate/tensor/fused_ops.h"
#include "striate/tensor/upload.h"
#include "striate/text/conversation.h"

namespace striate {
namespace {

// Where a stream's samples are, and what their tokens are.
class StreamMap {
 public:
  struct Span {
    std::int64_t begin, end;  // never empty
    bool has_image;
  };
  // The queries whose attention is averaged, by score.
  enum Queries { kAfter, kText, kAnswer, kLast, kQueryKinds };

  explicit StreamMap(const PackedBatch& stream) {
    const at::Tensor ids = stream.token_ids.cpu().contiguous();
    const auto* id = ids.const_data_ptr<std::int64_t>();
    image_.resize(static_cast<std::size_t>(ids.numel()));
    for (std::size_t t = 0; t < image_.size(); ++t) image_[t] = id[t] == kImageToken;
    const at::Tensor bounds = stream.cu_seqlens.to(at::kLong).contiguous();
    const auto* bound = bounds.const_data_ptr<std::int64_t>();
    for (std::int64_t s = 0; s < stream.samples(); ++s) {
      if (bound[s] == bound[s + 1]) continue;
      const auto first = image_.begin() + bound[s];
      const auto last = image_.begin() + bound[s + 1];
      samples_.push_back({bound[s], bound[s + 1], std::find(first, last, true) != last});
    }
    const at::Tensor slots = stream.target_slots.cpu().contiguous();
    learned_.resize(image_.size());
    // Position t predicts the label of t + 1.
    for (std::int64_t i = 0; i < slots.numel(); ++i) {
      learned_[static_cast<std::size_t>(slots.const_data_ptr<std::int64_t>()[i]) + 1] = true;
    }
  }

  const std::vector<Span>& samples() const { return samples_; }
  bool is_image(std::int64_t token) const { return image_[static_cast<std::size_t>(token)]; }
  std::int64_t tokens() const { return static_cast<std::int64_t>(image_.size()); }

  // The queries of one kind in a sample.
  std::vector<std::int64_t> queries(const Span& sample, Queries kind) const {
    if (kind == kLast) return {sample.end - 1};
    std::vector<std::int64_t> out;
    bool after = false;
    for (std::int64_t t = sample.begin; t < sample.end; ++t) {
      after = after || is_image(t);
      const bool chosen =
          kind == kAnswer ? bool{learned_[static_cast<std::size_t>(t)]} : !is_image(t) && (kind == kText || after);
      if (chosen) out.push_back(t);
    }
    return out;
  }

 private:
  std::vector<Span> samples_;
  std::vector<bool> image_, learned_;
};

constexpr std::array<const char*, StreamMap::kQueryKinds> kAttentionNames = {
    "image_attention", "image_attention_text", "image_attention_answer", "image_attention_last"};

// What one forward pass leaves.
struct Watched {
  std::vector<at::Tensor> products;  // by layer, [N, 3] double: row_products() of its input and output
  std::vector<at::Tensor> last;      // by state, [S, hidden] double: each sample's last token
};

// Row products of states and their last tokens, as the residual stream goes by.
class Watch {
 public:
  Watch(const Lvlm& model, const StreamMap& map, const LayerScoreOptions& options)
      : model_(model), options_(options), layers_(model.config().decoder.layers), tokens_(map.tokens()) {
    std::vector<std::int64_t> last;
    for (const StreamMap::Span& sample : map.samples()) last.push_back(sample.end - 1);
    last_ = uploaded(at::tensor(last, at::kLong), model.placement().device);
  }

  // x may have rows after the stream's own tokens, which do not count.
  void see(std::int64_t state, const at::Tensor& x) {
    const bool normed = state == layers_ && options_.after_final_norm;
    const at::Tensor own = x.slice(0, 0, tokens_);
    const at::Tensor now = normed ? model_.decoder().final_norm(own) : own;
    if (state > 0) seen_.products.push_back(row_products(before_, now));
    if (options_.angular) seen_.last.push_back(now.index_select(0, last_).to(at::kDouble));
    before_ = now;
  }

  Watched take() { return std::move(seen_); }

 private:
  const Lvlm& model_;
  const LayerScoreOptions& options_;
  std::int64_t layers_;
  std::int64_t tokens_;
  at::Tensor last_;
  at::Tensor before_;
  Watched seen_;
};

// A mean that may be of nothing.
struct Mean {
  double sum = 0;
  std::int64_t count = 0;
  void add(double value) {
    sum += value;
    ++count;
  }
  std::optional<double> value() const {
    return count > 0 ? std::optional(sum / static_cast<double>(count)) : std::nullopt;
  }
};

}  // namespace

struct LayerScoreCollector::State {
  State(const DecoderConfig& decoder, const LayerScoreOptions& options)
      : options(options),
        layers(static_cast<std::size_t>(decoder.layers)),
        heads(static_cast<std::size_t>(decoder.heads)),
        influence(options.block_influence ? kInfluences * layers : 0),
        angles(options.angular ? layers * (layers + 1) / 2 : 0),
        attention(options.image_attention ? StreamMap::kQueryKinds * layers : 0),
        head_attention(options.image_attention ? layers * heads : 0),
        zero_norm(watches_states() ? layers : 0),
        not_finite(watches_states() ? layers : 0),
        attention_not_finite(options.image_attention ? layers : 0) {}

  static constexpr std::array<const char*, 4> kInfluenceNames = {"bi", "bi_text", "bi_image", "bi_multimodal"};
  static constexpr std::size_t kInfluences = kInfluenceNames.size();

  bool watches_states() const { return options.block_influence || options.angular; }
  // Where the values of block length n begin: the shortest first, layers - n + 1 of each.
  std::size_t angle_place(std::size_t n) const { return (n - 1) * layers - (n - 1) * (n - 2) / 2; }

  void add_influence(const StreamMap& map, const std::vector<at::Tensor>& products);
  void add_angles(const std::vector<at::Tensor>& last);
  void add_attention(const StreamMap& map, const std::vector<at::Tensor>& mass);
  void add_attention(std::size_t layer, const at::Tensor& mass, std::span<const std::int64_t> queries,
                     std::size_t kind);

  LayerScoreOptions options;
  std::size_t layers, heads;
  double samples = 0, tokens = 0;
  SampleMoments influence;                                          // [kInfluences][layers]
  SampleMoments angles;                                             // angle_place(n) + first layer
  SampleMoments attention;                                          // [kQueryKinds][layers]
  SampleMoments head_attention;                                     // [layers][heads]
  std::vector<double> zero_norm, not_finite, attention_not_finite;  // by layer
};

void LayerScoreCollector::State::add_influence(const StreamMap& map, const std::vector<at::Tensor>& products) {
  const at::Tensor all = at::stack(products).cpu();
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const double* sums = all.const_data_ptr<double>() + static_cast<std::int64_t>(layer) * map.tokens() * 3;
    for (const StreamMap::Span& sample : map.samples()) {
      Mean text, image;
      for (std::int64_t t = sample.begin; t < sample.end; ++t) {
        const double dot = sums[3 * t], before = sums[3 * t + 1], after = sums[3 * t + 2];
        const bool finite = std::isfinite(dot) && std::isfinite(before) && std::isfinite(after);
        if (!finite) {
          ++not_finite[layer];
        } else if (before == 0 || after == 0) {
          ++zero_norm[layer];
        } else {
          (map.is_image(t) ? image : text).add(1 - dot / (std::sqrt(before) * std::sqrt(after)));
        }
      }
      if (!options.block_influence) continue;
      const Mean both{text.sum + image.sum, text.count + image.count};
      std::array<std::optional<double>, kInfluences> values = {both.value(), text.value(), image.value(), {}};
      if (values[1] && values[2]) values[3] = (*values[1] + *values[2]) / 2;
      for (std::size_t i = 0; i < kInfluences; ++i) {
        if (values[i]) influence.add(i * layers + layer, *values[i]);
      }
    }
  }
}

void LayerScoreCollector::State::add_angles(const std::vector<at::Tensor>& last) {
  const at::Tensor states = at::stack(last, 1);  // [S, layers + 1, hidden]
  const at::Tensor products = at::matmul(states, states.transpose(1, 2)).cpu().contiguous();
  const std::size_t n_states = layers + 1;
  for (std::int64_t s = 0; s < products.size(0); ++s) {
    const double* gram = products.const_data_ptr<double>() + s * static_cast<std::int64_t>(n_states * n_states);
    const auto norm = [&](std::size_t i) { return std::sqrt(gram[i * n_states + i]); };
    for (std::size_t n = 1; n <= layers; ++n) {
      for (std::size_t first = 0; first + n <= layers; ++first) {
        const double cosine = gram[first * n_states + first + n] / (norm(first) * norm(first + n));
        if (!std::isfinite(cosine)) continue;  // such a token is counted with the others
        angles.add(angle_place(n) + first, std::acos(std::clamp(cosine, -1.0, 1.0)) / std::numbers::pi);
      }
    }
  }
}

// One sample's queries in one layer; mass [heads, N] on the CPU.
void LayerScoreCollector::State::add_attention(std::size_t layer, const at::Tensor& mass,
                                               std::span<const std::int64_t> queries, std::size_t kind) {
  Mean over_heads;
  for (std::size_t head = 0; head < heads; ++head) {
    const float* row = mass.const_data_ptr<float>() + static_cast<std::int64_t>(head) * mass.size(1);
    Mean of_head;
    for (const std::int64_t query : queries) {
      if (std::isfinite(row[query])) {
        of_head.add(row[query]);
      } else if (kind == StreamMap::kText) {  // every text query, once
        ++attention_not_finite[layer];
      }
    }
    const std::optional<double> value = of_head.value();
    if (!value) continue;
    over_heads.add(*value);
    if (kind == StreamMap::kAfter) head_attention.add(layer * heads + head, *value);
  }
  if (const auto value = over_heads.value()) attention.add(kind * layers + layer, *value);
}

void LayerScoreCollector::State::add_attention(const StreamMap& map, const std::vector<at::Tensor>& mass) {
  const at::Tensor all = at::stack(mass).cpu();
  for (std::size_t layer = 0; layer < layers; ++layer) {
    const at::Tensor of_layer = all[static_cast<std::int64_t>(layer)];
    for (const StreamMap::Span& sample : map.samples()) {
      for (std::size_t kind = 0; kind < StreamMap::kQueryKinds; ++kind) {
        // All text queries: those of a sample without a picture put nothing on one. The others ask how much those that
        // can look do look.
        if (!sample.has_image && kind != StreamMap::kText) continue;
        add_attention(layer, of_layer, map.queries(sample, static_cast<StreamMap::Queries>(kind)), kind);
      }
    }
  }
}

LayerScoreCollector::LayerScoreCollector(const DecoderConfig& decoder, const LayerScoreOptions& options)
    : state_(std::make_unique<State>(decoder, options)) {}

LayerScoreCollector::~LayerScoreCollector() = default;
LayerScoreCollector::LayerScoreCollector(LayerScoreCollector&&) noexcept = default;

void LayerScoreCollector::add(const Lvlm& model, const PackedBatch& stream) {
  State& s = *state_;
  const DecoderConfig& decoder = model.config().decoder;
  if (decoder.layers != static_cast<std::int64_t>(s.layers) || decoder.heads != static_cast<std::int64_t>(s.heads)) {
    throw internal_error(
        cat("scores of ", counted(s.layers, "layer"), " and a model of ", counted(decoder.layers, "layer")));
  }
  const at::NoGradGuard no_grad;
  const StreamMap map(stream);
  const PackedBatch given = wants_spare_tokens(model.placement()) ? with_spare_tokens(stream, 0) : stream;
  Watch watch(model, map, s.options);
  StreamObserver observer;
  if (s.watches_states()) observer = [&](std::int64_t state, const at::Tensor& x) { watch.see(state, x); };
  if (s.options.image_attention) {
    ImageAttentionMass attention(given.cu_seqlens, decoder.sliding_window, given.token_ids.cpu().eq(kImageToken));
    model.forward(given, attention, observer);
    s.add_attention(map, attention.mass());
  } else {
    model.forward(given, observer);
  }
  const Watched seen = watch.take();
  if (s.watches_states()) s.add_influence(map, seen.products);
  if (s.options.angular && !map.samples().empty()) s.add_angles(seen.last);
  s.samples += static_cast<double>(map.samples().size());
  s.tokens += static_cast<double>(map.tokens());
}

void LayerScoreCollector::combine(const SumOverRanks& sum) {
  State& s = *state_;
  for (SampleMoments* moments : {&s.influence, &s.angles, &s.attention, &s.head_attention}) moments->combine(sum);
  for (std::vector<double>* counts : {&s.zero_norm, &s.not_finite, &s.attention_not_finite}) {
    sum(*counts);
  }
  std::vector<double> totals = {s.samples, s.tokens};
  sum(totals);
  s.samples = totals[0];
  s.tokens = totals[1];
}

std::int64_t LayerScoreCollector::samples() const {
  return static_cast<std::int64_t>(state_->samples);
}

void LayerScoreCollector::report(ScoreFile& file) const {
  const State& s = *state_;
  file.layers = static_cast<std::int64_t>(s.layers);
  file.samples = samples();
  if (s.options.block_influence) {
    for (std::size_t i = 0; i < State::kInfluences; ++i) {
      file.metrics[State::kInfluenceNames[i]] = s.influence.score(i * s.layers, s.layers);
    }
  }
  if (s.options.angular) {
    for (std::size_t n = 1; n <= s.layers; ++n) {
      file.angular[static_cast<std::int64_t>(n)] = s.angles.score(s.angle_place(n), s.layers - n + 1);
    }
  }
  if (s.options.image_attention) {
    for (std::size_t kind = 0; kind < StreamMap::kQueryKinds; ++kind) {
      file.metrics[kAttentionNames[kind]] = s.attention.score(kind * s.layers, s.layers);
    }
    file.image_attention_heads.clear();
    for (std::size_t layer = 0; layer < s.layers; ++layer) {
      file.image_attention_heads.push_back(s.head_attention.score(layer * s.heads, s.heads));
    }
  }
  const auto whole = [](const std::vector<double>& counts) {
    return std::vector<std::int64_t>(counts.begin(), counts.end());
  };
  file.tokens = {static_cast<std::int64_t>(s.tokens), whole(s.zero_norm), whole(s.not_finite),
                 whole(s.attention_not_finite)};
}

}  // namespace striate

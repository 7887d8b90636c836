#include "striate/region/layer_grammar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "striate/model/config.h"
#include "striate/region/score_file.h"

namespace striate {
namespace {

using Layers = std::vector<std::int64_t>;

constexpr std::int64_t kPaperDepth = 32;
constexpr std::int64_t kPaperDepth13B = 40;
constexpr std::int64_t kPaperLayers13B = 9;

Layers range(std::int64_t first, std::int64_t count) {
  Layers out(static_cast<std::size_t>(count));
  std::iota(out.begin(), out.end(), first);
  return out;
}

// One spec being read: `word` up to the first ':', `rest` behind it.
class Spec {
 public:
  Spec(std::string_view text, std::int64_t layers, std::optional<DecoderShape> decoder = std::nullopt)
      : text_(trim(text)), layers_(layers), decoder_(decoder) {
    const std::size_t colon = text_.find_first_of(":@");
    word_ = text_.substr(0, colon);
    if (colon != std::string::npos) rest_ = text_.substr(colon);
  }

  Layers parse() const;

 private:
  Error bad(const std::string& what, const std::string& hint) const {
    return invalid_input(cat("layer set \"", text_, "\": ", what), hint);
  }

  // What follows the word's colon.
  std::string argument(const std::string& usage) const {
    if (rest_.size() < 2 || rest_[0] != ':') throw bad("does not say how many layers", cat("write ", usage));
    return rest_.substr(1);
  }

  void no_argument() const {
    if (!rest_.empty()) throw bad(cat("\"", word_, "\" takes no argument"), cat("write ", word_));
  }

  std::int64_t whole_number(std::string_view digits, const std::string& what) const {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool plain = !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
    if (plain && error == std::errc::result_out_of_range)
      throw bad(cat(what, " ", digits, " is too large"), count_hint());
    if (!plain || end != digits.data() + digits.size()) {
      throw bad(cat("\"", digits, "\" is not ", what == "offset" ? "an " : "a ", what),
                cat("write numbers as plain digits; ", count_hint()));
    }
    return value;
  }

  std::string count_hint() const { return cat("this decoder has layers 0 to ", layers_ - 1); }

  // "8" or "25%".
  std::int64_t count(std::string_view amount) const {
    if (amount.ends_with('%')) return share(amount.substr(0, amount.size() - 1));
    const std::int64_t k = whole_number(amount, "number of layers");
    if (k == 0) throw bad("does not name a layer", "give at least 1");
    if (k > layers_) {
      throw bad(cat(k, " layers are more than the decoder's ", layers_),
                cat("give 1 to ", layers_, ", or a share such as 25%"));
    }
    return k;
  }

  std::int64_t share(std::string_view digits) const {
    double percent = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), percent, std::chars_format::fixed);
    const bool number = error == std::errc() && end == digits.data() + digits.size() && std::isdigit(digits[0]) != 0;
    if (!number || percent <= 0 || percent > 100) {
      throw bad(cat("\"", digits, "%\" is not a share of the layers"),
                "give more than 0% and at most 100%, such as 25%");
    }
    const auto k = static_cast<std::int64_t>(std::floor(percent * static_cast<double>(layers_) / 100 + 0.5));
    return std::max<std::int64_t>(k, 1);
  }

  Layers all() const {
    no_argument();
    return range(0, layers_);
  }
  Layers uniform() const;
  Layers paper() const;
  Layers authors_script() const;
  Layers block(std::int64_t first) const;
  Layers middle() const {
    const std::int64_t k = count(argument("middle:8 or middle:25%"));
    return range((layers_ - k) / 2, k);
  }
  Layers top() const {
    const std::int64_t k = count(argument("top:8 or top:25%"));
    return range(layers_ - k, k);
  }
  Layers bottom_top() const;
  Layers random() const;
  Layers list() const;

  // FILE:METRIC:k, from the right: a path may hold colons.
  struct Scored {
    std::vector<double> values;  // one per layer
    std::int64_t k;
  };
  Scored scored() const;
  Layers highest() const;
  Layers stratified() const;

  std::string text_, word_, rest_;
  std::int64_t layers_;
  std::optional<DecoderShape> decoder_;  // of the model the layers are for, where it is known
};

Layers Spec::uniform() const {
  const std::string argument = this->argument("uniform:8, uniform:25% or uniform:8@1");
  const std::size_t at = argument.find('@');
  const std::int64_t k = count(std::string_view(argument).substr(0, at));
  const std::int64_t offset =
      at == std::string::npos ? 0 : whole_number(std::string_view(argument).substr(at + 1), "offset");
  const std::int64_t smallest_bin = layers_ / k;
  if (offset >= smallest_bin) {
    throw bad(
        cat("offset ", offset, " is outside the bins: ", k, " bins of ", layers_, " layers have ",
            counted(smallest_bin, "layer"), layers_ % k == 0 ? " each" : " or more"),
        smallest_bin == 1 ? std::string("leave out the offset") : cat("give an offset of 0 to ", smallest_bin - 1));
  }
  Layers out = uniform_bins(layers_, k);
  out.pop_back();
  for (std::int64_t& layer : out) layer += offset;
  return out;
}

Layers Spec::paper() const {
  no_argument();
  if (layers_ == kPaperDepth) return {0, 4, 8, 12, 18, 22, 26, 30};
  if (layers_ == kPaperDepth13B) {
    Layers out = uniform_bins(layers_, kPaperLayers13B);
    out.pop_back();
    return out;
  }
  throw bad(cat("the paper has lists for decoders of 32 and 40 layers, but this decoder has ", layers_),
            "uniform:25% is the paper's rule at any depth");
}

Layers Spec::authors_script() const {
  no_argument();
  if (layers_ == kPaperDepth) return {1, 5, 9, 13, 19, 23, 27, 31};
  throw bad(cat("the authors' script has a list for decoders of 32 layers, but this decoder has ", layers_),
            "uniform:25% is the paper's rule at any depth");
}

Layers Spec::block(std::int64_t first) const {
  const std::int64_t k = count(argument(cat(word_, ":8 or ", word_, ":25%")));
  if (k > layers_ - first) {
    throw bad(cat(k, " layers from layer ", first, " exceed the last layer, ", layers_ - 1),
              cat("give at most ", layers_ - first));
  }
  return range(first, k);
}

Layers Spec::bottom_top() const {
  const std::int64_t k = count(argument("bottom-top:8 or bottom-top:25%"));
  Layers out = range(0, k - k / 2);
  const Layers above = range(layers_ - k / 2, k / 2);
  out.insert(out.end(), above.begin(), above.end());
  return out;
}

Layers Spec::random() const {
  const std::vector<std::string> parts = split(argument("random:8:SEED"), ':');
  if (parts.size() != 2) throw bad("a random set needs a number of layers and a seed", "write random:8:1");
  const std::int64_t k = count(parts[0]);
  const RandomStream stream(static_cast<std::uint64_t>(whole_number(parts[1], "seed")), "layer set");
  Layers layers = range(0, layers_);
  for (std::int64_t i = 0; i < k; ++i) {  // Fisher and Yates, as far as needed
    const std::uint64_t draw = stream.bits(static_cast<std::uint64_t>(i)) % static_cast<std::uint64_t>(layers_ - i);
    std::swap(layers[static_cast<std::size_t>(i)], layers[static_cast<std::size_t>(i) + draw]);
  }
  layers.resize(static_cast<std::size_t>(k));
  std::sort(layers.begin(), layers.end());
  return layers;
}

Spec::Scored Spec::scored() const {
  const std::string usage = cat(word_, ":scores.json:bi_multimodal:8");
  const std::vector<std::string> parts = split(argument(usage), ':');
  if (parts.size() < 3) throw bad("needs a score file, a metric and a number of layers", cat("write ", usage));
  const std::string& metric = parts[parts.size() - 2];
  const std::string file = join({parts.begin(), parts.end() - 2}, ":");
  if (file.empty() || metric.empty()) {
    throw bad("needs a score file, a metric and a number of layers", cat("write ", usage));
  }
  const std::int64_t k = count(parts.back());
  const ScoreFile scores = read_score_file(file);
  if (scores.layers != layers_) {
    throw bad(cat(file, " is for a decoder of ", scores.layers, " layers, but this decoder has ", layers_),
              cat("score this model: striate score `model` DIR ... `out` ", file));
  }
  if (decoder_ && scores.decoder && *decoder_ != *scores.decoder) {
    throw bad(cat(file, " is for another model (", scores.model, ") with a decoder of another shape"),
              cat("score this model: striate score `model` DIR ... `out` ", file));
  }
  Scored out{.values = scores.metric(metric).mean, .k = k};
  for (std::size_t layer = 0; layer < out.values.size(); ++layer) {
    if (std::isnan(out.values[layer])) {
      throw bad(cat(file, " has no value of ", metric, " for layer ", layer),
                "measure the scores again with samples that give one");
    }
  }
  return out;
}

Layers Spec::highest() const {
  const Scored scored = this->scored();
  Layers order = range(0, layers_);
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return scored.values[static_cast<std::size_t>(a)] > scored.values[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(scored.k));
  std::sort(order.begin(), order.end());
  return order;
}

Layers Spec::stratified() const {
  const Scored scored = this->scored();
  const Layers bins = uniform_bins(layers_, scored.k);
  Layers out;
  for (std::size_t i = 0; i + 1 < bins.size(); ++i) {
    const auto first = scored.values.begin() + bins[i];
    out.push_back(std::max_element(first, scored.values.begin() + bins[i + 1]) - scored.values.begin());
  }
  return out;
}

Layers Spec::list() const {
  std::set<std::int64_t> out;
  for (const std::string& piece : split(text_, ',')) {
    const std::string item(trim(piece));
    const std::size_t dash = item.find('-');
    if (item.empty() || dash == 0) {
      throw bad(item.empty() ? std::string("has an empty item between commas") : cat("\"", item, "\" is not a layer"),
                cat("write a list such as 0,4,8-11; ", count_hint()));
    }
    const std::int64_t first = whole_number(trim(std::string_view(item).substr(0, dash)), "layer");
    const std::int64_t last =
        dash == std::string::npos ? first : whole_number(trim(std::string_view(item).substr(dash + 1)), "layer");
    if (last < first) throw bad(cat("\"", item, "\" goes downwards"), cat("write ", last, "-", first));
    if (last >= layers_) throw bad(cat("layer ", last, " is outside the decoder"), count_hint());
    for (std::int64_t layer = first; layer <= last; ++layer) out.insert(layer);
  }
  return {out.begin(), out.end()};
}

Layers Spec::parse() const {
  if (text_.empty()) throw bad("does not name a layer", "write for example uniform:25%, or a list such as 0,4,8-11");
  if (text_.find_first_of("0123456789,-") == 0) return list();
  const std::map<std::string, std::function<Layers()>> words = {
      {"all", [&] { return all(); }},
      {"uniform", [&] { return uniform(); }},
      {"paper", [&] { return paper(); }},
      {"authors-script", [&] { return authors_script(); }},
      {"bottom", [&] { return block(0); }},
      {"mid-bottom", [&] { return block(layers_ / 4); }},
      {"mid-top", [&] { return block(layers_ / 2); }},
      {"middle", [&] { return middle(); }},
      {"top", [&] { return top(); }},
      {"bottom-top", [&] { return bottom_top(); }},
      {"score", [&] { return highest(); }},
      {"stratified", [&] { return stratified(); }},
      {"random", [&] { return random(); }},
  };
  const auto found = words.find(word_);
  if (found != words.end()) return found->second();
  std::vector<std::string> names;
  for (const auto& [name, rule] : words) names.push_back(name);
  const std::string nearest = nearest_name(word_, names);
  throw bad(cat("\"", word_, "\" is not a rule for layers"),
            nearest.empty() ? cat("known: ", join(names, ", "), ", or a list such as 0,4,8-11")
                            : cat("did you mean ", nearest, "?"));
}

}  // namespace

LayerSet parse_layer_set(std::string_view spec, std::int64_t layers) {
  if (layers < 1) throw internal_error("a layer set of a decoder without layers");
  return {layers, Spec(spec, layers).parse(), std::string(spec)};
}

LayerSet parse_layer_set(std::string_view spec, const DecoderConfig& decoder) {
  return {decoder.layers, Spec(spec, decoder.layers, decoder_shape(decoder)).parse(), std::string(spec)};
}

Layers uniform_bins(std::int64_t layers, std::int64_t k) {
  Layers out;
  for (std::int64_t i = 0; i <= k; ++i) out.push_back(i * layers / k);
  return out;
}

}  // namespace striate

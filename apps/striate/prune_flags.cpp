#include "apps/striate/prune_flags.h"

#include <memory>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/eval/prune_scoring.h"
#include "striate/region/layer_set.h"
#include "striate/region/recorded_region.h"

namespace striate::app {
namespace {

EvaluationOptions data_options(const PruneFlags& flags, const Checkpoint& source, const std::string& data,
                               const std::string& images) {
  EvaluationOptions options;
  options.data = data;
  options.images = images;
  options.conversation = default_template(source.config.family);
  if (source.config.vision) options.preprocess = preprocess_config(source.config, source.folder);
  options.max_tokens = flags.max_tokens;
  return options;
}

// Scores measured when they are first asked for.
class Measured {
 public:
  Measured(const PruneFlags& flags, const Checkpoint& source, const std::function<std::shared_ptr<const Lvlm>()>& load)
      : model_(load()), tokenizer_(load_tokenizer(source.folder)) {
    scoring_.emplace(*model_, *tokenizer_, scoring_data(flags, source), flags.metric, flags.tokens_per_stream);
  }
  ScoreFile operator()(const std::vector<std::int64_t>& gone) { return (*scoring_)(gone); }
  std::int64_t samples() const { return scoring_->samples(); }

 private:
  std::shared_ptr<const Lvlm> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<PruneScoring> scoring_;
};

}  // namespace

std::vector<std::int64_t> region_layers(const PruneFlags& flags, const ModelPaths& paths, const Checkpoint& source) {
  if (flags.region == "none") return {};
  if (flags.region != "from-run") return parse_layer_set(flags.region, source.config.decoder);
  for (const auto& folder : {paths.adapter, paths.model}) {
    if (!folder) continue;
    if (auto region = recorded_region(*folder, source.config.decoder.layers)) return *region;
  }
  throw invalid_input("--region from-run: no region is recorded for this model",
                      "name the layers that must stay, e.g. --region uniform:25%, or choose anywhere: --region none");
}

EvaluationOptions scoring_data(const PruneFlags& flags, const Checkpoint& source) {
  EvaluationOptions options = data_options(flags, source, existing_path("--data", flags.data).string(),
                                           existing_path("--images", flags.images).string());
  options.most_items = flags.samples;
  options.draw_seed = flags.seed;
  return options;
}

EvaluationOptions held_out_data(const PruneFlags& flags, const Checkpoint& source) {
  const std::string images = flags.eval_images.empty() ? existing_path("--images", flags.images).string()
                                                       : existing_path("--eval-images", flags.eval_images).string();
  EvaluationOptions options =
      data_options(flags, source, existing_path("--eval-data", flags.eval_data).string(), images);
  options.most_items = flags.eval_samples;
  return options;
}

LayerChooser make_chooser(const PruneFlags& flags, const Checkpoint& source,
                          const std::vector<std::int64_t>& protected_layers, const std::string& scores,
                          std::int64_t most, const std::function<std::shared_ptr<const Lvlm>()>& load) {
  PruneRequest request;
  request.layers = source.config.decoder.layers;
  request.protected_layers = protected_layers;
  request.metric = flags.metric;
  request.contiguous = flags.contiguous;
  request.decoder = decoder_shape(source.config.decoder);
  if (!scores.empty()) {
    if (flags.iterative) {
      throw invalid_input("--iterative with --scores: a file is not measured anew",
                          "give the data to score with: --data FILE --images DIR");
    }
    auto file = std::make_shared<ScoreFile>(read_score_file(scores));
    return {[request, file](std::int64_t n) {
              PruneRequest r = request;
              r.remove = n;
              return choose_layers_to_prune(r, *file);
            },
            cat(scores, ", of ", file->model, ", ", file->samples, " samples")};
  }
  if (flags.data.empty()) {
    throw invalid_input("no scores to choose layers by",
                        "give a file of striate score: --scores FILE; or data to score with: --data FILE --images DIR; "
                        "or the layers themselves: --layers LIST");
  }
  request.remove = most;
  const auto measured = std::make_shared<Measured>(flags, source, load);
  const std::string told =
      cat(flags.data, ", ", measured->samples(), " samples", flags.iterative ? ", anew after each removal" : "");
  if (flags.iterative) {
    const auto all = choose_layers_iteratively(
        request, [measured](const std::vector<std::int64_t>& gone) { return (*measured)(gone); });
    return {[all](std::int64_t n) { return std::vector<PrunedLayer>(all.begin(), all.begin() + n); }, told};
  }
  const auto file = std::make_shared<ScoreFile>((*measured)({}));
  return {[request, file](std::int64_t n) {
            PruneRequest r = request;
            r.remove = n;
            return choose_layers_to_prune(r, *file);
          },
          told};
}

}  // namespace striate::app

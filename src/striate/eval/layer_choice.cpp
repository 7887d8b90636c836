#include "striate/eval/layer_choice.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/eval/measured_model.h"
#include "striate/eval/prune_scoring.h"

namespace striate {
namespace {

// The model, its tokenizer and the samples that scores are measured on.
class MeasuredScores {
 public:
  MeasuredScores(const LayerChoice& choice, const Checkpoint& source,
                 const std::function<std::shared_ptr<const Lvlm>()>& load)
      : model_(load()), tokenizer_(load_tokenizer(source.folder)) {
    scoring_.emplace(*model_, *tokenizer_, data_for_model(*choice.data, source), choice.metric,
                     choice.tokens_per_stream);
  }
  ScoreFile operator()(const LayerSet& gone) { return (*scoring_)(gone); }
  std::int64_t samples() const { return scoring_->samples(); }

 private:
  std::shared_ptr<const Lvlm> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<PruneScoring> scoring_;
};

LayerChooser chooser_by_scores(const PruneCriteria& criteria, ScoreFile scores, std::string told) {
  const std::int64_t most = most_to_prune(criteria, scores);
  return {[criteria, file = std::make_shared<const ScoreFile>(std::move(scores))](std::int64_t n) {
            PruneCriteria some = criteria;
            some.remove = n;
            return choose_layers_to_prune(some, *file);
          },
          std::move(told), most};
}

LayerChooser chooser_by_file(const LayerChoice& choice, const PruneCriteria& criteria,
                             const std::filesystem::path& scores) {
  if (choice.iterative) {
    throw invalid_input("`iterative` and `scores` exclude each other: the scores in a file cannot be measured again",
                        "give the data to score with: `data` FILE `images` DIR");
  }
  ScoreFile file = read_score_file(scores);
  std::string told = cat(scores.string(), ", of ", file.model, ", ", counted(file.samples, "sample"));
  return chooser_by_scores(criteria, std::move(file), std::move(told));
}

}  // namespace

LayerSet region_to_keep(const LayerChoice& choice, const Checkpoint& source) {
  if (auto region = region_of_setting(choice.region, source)) return *std::move(region);
  throw invalid_input(
      "`region` from-run: no region is recorded for this model",
      "name the layers that must stay, e.g. `region` uniform:25%, or allow any layer to be removed with `region` none");
}

LayerChooser make_chooser(const LayerChoice& choice, const std::optional<std::filesystem::path>& scores,
                          const Checkpoint& source, const LayerSet& protected_layers, std::int64_t most,
                          const std::function<std::shared_ptr<const Lvlm>()>& load) {
  PruneCriteria criteria;
  criteria.protected_layers = protected_layers;
  criteria.metric = choice.metric;
  criteria.contiguous = choice.contiguous;
  criteria.spaced = choice.spaced;
  criteria.decoder = decoder_shape(source.config.decoder);
  if (scores) return chooser_by_file(choice, criteria, *scores);
  if (!choice.data) {
    throw invalid_input("no scores to choose layers by were given",
                        "give a score file with `scores` FILE, data to score with `data` FILE `images` DIR, or the "
                        "layers themselves with `layers` LIST");
  }
  const auto measured = std::make_shared<MeasuredScores>(choice, source, load);
  std::string told = cat(choice.data->data.string(), ", ", counted(measured->samples(), "sample"),
                         choice.iterative ? ", scored again after each removal" : "");
  if (!choice.iterative) {
    return chooser_by_scores(criteria, (*measured)({source.config.decoder.layers, {}}), std::move(told));
  }
  criteria.remove = most;
  const auto all = choose_layers_iteratively(criteria, [measured](const LayerSet& gone) { return (*measured)(gone); });
  return {[all](std::int64_t n) { return std::vector<PrunedLayer>(all.begin(), all.begin() + n); }, std::move(told),
          most};
}

}  // namespace striate

#include "striate/study/results.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::study {
namespace {

// The decoders' depths and the benchmarks' lengths, and what of a model does not fit them.
class FittingParts {
 public:
  explicit FittingParts(const StudyResults& results) : results_(results) {}

  std::string fault() const {
    std::set<std::string> names;
    for (const StudiedLvlm& lvlm : results_.lvlms) {
      if (!names.insert(lvlm.name).second) return cat("the model ", lvlm.name, " occurs twice");
      if (lvlm.layers < 1) return cat("the model ", lvlm.name, " has ", lvlm.layers, " layers");
    }
    names.clear();
    for (const StudiedBenchmark& benchmark : results_.benchmarks) {
      if (!names.insert(benchmark.name).second) return cat("the benchmark ", benchmark.name, " occurs twice");
    }
    std::set<std::pair<std::string, std::string>> places;
    for (const StudiedModel& model : results_.models) {
      const std::string where = model.part.empty() ? model.cell : cat(model.cell, ", ", model.part);
      if (!places.emplace(model.cell, model.part).second) return cat(where, ": occurs twice");
      if (const std::string fault = of_model(model); !fault.empty()) return cat(where, ": ", fault);
    }
    return "";
  }

 private:
  std::string of_model(const StudiedModel& model) const {
    const auto lvlm = std::ranges::find(results_.lvlms, model.model, &StudiedLvlm::name);
    if (lvlm == results_.lvlms.end()) return cat("the model ", model.model, " is not one of the study's");
    for (const auto& [name, answers] : model.benchmarks) {
      if (const std::string fault = of_answers(name, answers); !fault.empty()) return fault;
    }
    for (const auto& [name, loss] : model.losses) {
      if (!std::isfinite(loss.loss)) return cat("the loss on ", name, " is not finite");
    }
    for (const auto& [metric, scores] : model.layer_scores) {
      if (scores.size() != static_cast<std::size_t>(lvlm->layers))
        return cat(scores.size(), " scores of ", lvlm->layers, " layers by ", metric);
    }
    const bool before = model.treatment == Treatment::kBase || model.treatment == Treatment::kAligned;
    if (before == model.tuning.has_value()) return cat(name(model.treatment), before ? " with" : " without", " tuning");
    if (model.treatment == Treatment::kPruned && !model.removal) return "pruned without a removal";
    if (model.treatment == Treatment::kHealed && !model.healing) return "healed without healing";
    if (model.tuning) {
      if (const std::string fault = of_tuning(*model.tuning, lvlm->layers); !fault.empty()) return fault;
    }
    const bool removed_fit = !model.removal || are_layers(model.removal->layers, lvlm->layers);
    if (!removed_fit || !are_layers(model.reverted, lvlm->layers))
      return cat("layers that are not in ascending order or not of ", lvlm->layers);
    return "";
  }

  std::string of_answers(const std::string& name, const BenchmarkAnswers& answers) const {
    const auto found = std::ranges::find(results_.benchmarks, name, &StudiedBenchmark::name);
    if (found == results_.benchmarks.end()) return cat("the benchmark ", name, " is not one of the study's");
    const std::size_t count = found->questions.size();
    if (answers.questions.size() != count || answers.answers.size() != count) {
      return cat("the benchmark ", name, " has ", count, " questions, ", answers.questions.size(), " scores and ",
                 answers.answers.size(), " answers");
    }
    const auto is_score = [](double score) { return score >= 0 && score <= 1; };
    if (!std::ranges::all_of(answers.questions, is_score))
      return cat("the benchmark ", name, " has scores that are none");
    return "";
  }

  static std::string of_tuning(const Tuning& tuning, std::int64_t layers) {
    if (!are_layers(tuning.layers, layers))
      return cat("tuned layers that are not in ascending order or not of ", layers);
    if (!(tuning.data_fraction > 0 && tuning.data_fraction <= 1)) return "a share of the data that is none";
    return std::isfinite(tuning.learning_rate) ? "" : "a learning rate that is not finite";
  }

  static bool are_layers(const std::vector<std::int64_t>& numbers, std::int64_t layers) {
    const bool ascending = std::ranges::adjacent_find(numbers, std::greater_equal()) == numbers.end();
    return ascending && (numbers.empty() || (numbers.front() >= 0 && numbers.back() < layers));
  }

  const StudyResults& results_;
};

}  // namespace

std::string fault_of(const StudyResults& results) {
  return FittingParts(results).fault();
}

std::string name(Sense sense) {
  return sense == Sense::kVisual ? "visual" : "text";
}

std::string name(Removal::Where where) {
  switch (where) {
    case Removal::Where::kOutside:
      return "outside";
    case Removal::Where::kInside:
      return "inside";
    case Removal::Where::kAnywhere:
      return "anywhere";
  }
  throw internal_error("a removal from nowhere");
}

std::string name(Treatment treatment) {
  switch (treatment) {
    case Treatment::kBase:
      return "base";
    case Treatment::kAligned:
      return "aligned";
    case Treatment::kTuned:
      return "tuned";
    case Treatment::kReverted:
      return "reverted";
    case Treatment::kPruned:
      return "pruned";
    case Treatment::kHealed:
      return "healed";
  }
  throw internal_error("a treatment without a name");
}

}  // namespace striate::study

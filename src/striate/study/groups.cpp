#include "striate/study/groups.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/numbers.h"

namespace striate::study {
namespace {

// The order in which strategies are shown; others follow by name.
constexpr std::array kStrategies = {"all",    "uniform", "paper", "authors-script", "bottom", "mid-bottom",
                                    "middle", "mid-top", "top",   "bottom-top",     "random"};

std::size_t strategy_rank(const std::string& strategy) {
  return static_cast<std::size_t>(std::ranges::find(kStrategies, strategy) - kStrategies.begin());
}

// What models of one group have in common.
using TuningKey = std::tuple<std::size_t, std::string, std::string, double, std::size_t, std::int64_t, double>;

TuningKey key_of(const std::optional<Tuning>& tuning) {
  if (!tuning) return {};
  const Tuning& t = *tuning;
  return {strategy_rank(t.strategy), t.strategy, t.modules,      -t.data_fraction,
          t.layers.size(),           t.offset,   t.learning_rate};
}

using RemovalKey = std::tuple<bool, std::string, Removal::Where, bool, std::size_t>;

RemovalKey key_of(const std::optional<Removal>& removal) {
  if (!removal) return {};
  return {true, removal->metric, removal->where, removal->spaced, removal->layers.size()};
}

using HealingKey = std::tuple<bool, std::string, bool>;

HealingKey key_of(const std::optional<Healing>& healing) {
  if (!healing) return {};
  return {true, healing->trained, healing->unpruned};
}

// The better of two groups with other learning rates.
bool has_more_seeds(const ModelGroup& a, const ModelGroup& b) {
  const std::size_t of_a = a.seeds().size(), of_b = b.seeds().size();
  return of_a != of_b ? of_a > of_b : a.tuning().learning_rate < b.tuning().learning_rate;
}

// The models of a group whose seed and draw one of `made` has.
ModelGroup of_seeds(ModelGroup group, const std::vector<ModelGroup>& made) {
  std::erase_if(group.models, [&](const StudiedModel* model) {
    return std::ranges::none_of(made, [&](const ModelGroup& other) {
      return std::ranges::any_of(other.models, [&](const StudiedModel* m) {
        return m->tuning->seed == model->tuning->seed && m->tuning->draw == model->tuning->draw;
      });
    });
  });
  return group;
}

std::string percent_text(double share) {
  return formatted(100 * share, "%.4g") + "%";
}

}  // namespace

const Tuning& ModelGroup::tuning() const {
  if (!first().tuning) throw internal_error("a group of models before tuning has no tuning");
  return *first().tuning;
}

std::int64_t ModelGroup::removed() const {
  return first().removal ? static_cast<std::int64_t>(first().removal->layers.size()) : 0;
}

std::vector<std::uint64_t> ModelGroup::seeds() const {
  std::vector<std::uint64_t> out;
  for (const StudiedModel* model : models) {
    if (model->tuning) out.push_back(model->tuning->seed);
  }
  std::ranges::sort(out);
  out.erase(std::ranges::unique(out).begin(), out.end());
  return out;
}

StudyGroups::StudyGroups(const StudyResults& results, StudySetting setting) : setting_(std::move(setting)) {
  std::map<std::tuple<Treatment, TuningKey, RemovalKey, HealingKey, std::vector<std::int64_t>>, ModelGroup> by_key;
  for (const StudiedModel& model : results.models) {
    const bool of_data =
        model.data == setting_.data || (!model.tuning && model.data.empty()) || model.treatment == Treatment::kBase;
    if (model.model != setting_.model || !of_data || (model.tuning && model.tuning->trial)) continue;
    by_key[{model.treatment, key_of(model.tuning), key_of(model.removal), key_of(model.healing), model.reverted}]
        .models.push_back(&model);
  }
  for (auto& [key, group] : by_key) {
    std::ranges::stable_sort(group.models, {}, [](const StudiedModel* model) {
      return model->tuning ? std::pair(model->tuning->seed, model->tuning->draw)
                           : std::pair<std::uint64_t, std::int64_t>();
    });
    groups_.push_back(std::move(group));
  }
}

std::int64_t StudyGroups::quarter() const {
  return std::max<std::int64_t>(1, std::lround(static_cast<double>(setting_.layers) / 4));
}

std::vector<ModelGroup> StudyGroups::of(Treatment treatment) const {
  std::vector<ModelGroup> out;
  for (const ModelGroup& group : groups_) {
    if (group.first().treatment == treatment) out.push_back(group);
  }
  return out;
}

std::optional<ModelGroup> StudyGroups::only(Treatment treatment) const {
  const std::vector<ModelGroup> found = of(treatment);
  if (found.empty()) return std::nullopt;
  return found.front();
}

std::optional<ModelGroup> StudyGroups::base() const {
  return only(Treatment::kBase);
}

std::optional<ModelGroup> StudyGroups::aligned() const {
  return only(Treatment::kAligned);
}

std::optional<ModelGroup> StudyGroups::tuned(const Axes& axes) const {
  std::optional<ModelGroup> best;
  for (const ModelGroup& group : of(Treatment::kTuned)) {
    const Tuning& t = group.tuning();
    if (t.strategy == axes.strategy && t.modules == axes.modules && t.data_fraction == axes.data_fraction &&
        t.offset == axes.offset && group.tuned_layers() == axes.layers && (!best || has_more_seeds(group, *best)))
      best = group;
  }
  return best;
}

std::optional<ModelGroup> StudyGroups::all(double data_fraction) const {
  return tuned({.strategy = "all", .layers = setting_.layers, .data_fraction = data_fraction});
}

std::optional<ModelGroup> StudyGroups::spread(std::int64_t layers, double data_fraction) const {
  if (auto found = tuned({.strategy = "paper", .layers = layers, .data_fraction = data_fraction})) return found;
  return tuned({.strategy = "uniform", .layers = layers, .data_fraction = data_fraction});
}

std::optional<ModelGroup> StudyGroups::pruned(const ModelGroup& tuned, const RemovalRule& rule,
                                              std::int64_t removed) const {
  std::vector<ModelGroup> made;
  for (const ModelGroup& group : of(Treatment::kPruned)) {
    const Removal& removal = *group.first().removal;
    if (key_of(group.first().tuning) != key_of(tuned.first().tuning) ||
        RemovalRule{removal.metric, removal.where, removal.spaced} != rule)
      continue;
    if (group.removed() == removed) return group;
    made.push_back(group);
  }
  if (removed != 0 || made.empty()) return std::nullopt;
  return of_seeds(tuned, made);
}

ModelGroup StudyGroups::pruned_sources(const ModelGroup& tuned) const {
  std::vector<ModelGroup> made;
  for (const ModelGroup& group : of(Treatment::kPruned)) {
    if (key_of(group.first().tuning) == key_of(tuned.first().tuning)) made.push_back(group);
  }
  return of_seeds(tuned, made);
}

std::vector<RemovalRule> StudyGroups::removals(const ModelGroup& tuned) const {
  std::vector<RemovalRule> rules;
  for (const ModelGroup& group : of(Treatment::kPruned)) {
    if (key_of(group.first().tuning) != key_of(tuned.first().tuning)) continue;
    const Removal& removal = *group.first().removal;
    const RemovalRule rule{removal.metric, removal.where, removal.spaced};
    if (std::ranges::find(rules, rule) == rules.end()) rules.push_back(rule);
  }
  return rules;
}

std::optional<ModelGroup> StudyGroups::source(const ModelGroup& made) const {
  for (const ModelGroup& group : of(Treatment::kTuned)) {
    if (key_of(group.first().tuning) == key_of(made.first().tuning)) return group;
  }
  return std::nullopt;
}

std::string StudyGroups::name_with_rate(const ModelGroup& group) const {
  std::string out = group_name(group, setting_);
  if (!group.first().tuning) return out;
  const double rate = group.tuning().learning_rate;
  for (const ModelGroup& other : of(Treatment::kTuned)) {
    std::optional<Tuning> alike = other.tuning();
    const bool differs = std::exchange(alike->learning_rate, rate) != rate;
    if (differs && key_of(alike) == key_of(group.first().tuning))
      return cat(out, ", learning rate ", formatted(rate, "%g"));
  }
  return out;
}

std::vector<StudySetting> settings_of(const StudyResults& results) {
  std::vector<StudySetting> out;
  const auto has_model = [&](const std::string& model) {
    return std::ranges::count(out, model, &StudySetting::model) > 0;
  };
  const auto layers_of = [&](const std::string& model) {
    const auto found = std::ranges::find(results.lvlms, model, &StudiedLvlm::name);
    return found == results.lvlms.end() ? 0 : found->layers;
  };
  for (const StudiedModel& model : results.models) {
    const auto same = [&](const StudySetting& s) { return s.model == model.model && s.data == model.data; };
    if (model.tuning && std::ranges::none_of(out, same))
      out.push_back({model.model, model.data, layers_of(model.model)});
  }
  for (const StudiedModel& model : results.models) {
    if (!has_model(model.model)) out.push_back({model.model, "", layers_of(model.model)});
  }
  return out;
}

std::string group_name(const ModelGroup& group, const StudySetting& setting) {
  if (!group.first().tuning) return name(group.first().treatment);
  const Tuning& t = group.tuning();
  std::string out = t.strategy == "all" ? t.strategy : cat(t.strategy, " ", t.layers.size(), " of ", setting.layers);
  if (t.offset != 0) out += cat(" at offset ", t.offset);
  if (t.modules != "all") out += cat(", ", t.modules);
  if (t.data_fraction != 1) out += cat(", ", percent_text(t.data_fraction), " of the data");
  return out;
}

}  // namespace striate::study

// Which of a study's models are the same but for chance: what means over seeds are means of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "striate/study/results.h"

namespace striate::study {

// One LVLM tuned on one set of data: a study's axes span each of them anew.
struct StudySetting {
  std::string model, data;
  std::int64_t layers = 0;  // of its decoder
};

// Models that differ in nothing but the seed and, of random regions, the draw. Not empty.
struct ModelGroup {
  std::vector<const StudiedModel*> models;  // by seed, then draw

  const StudiedModel& first() const { return *models.front(); }
  // The first one's; the layers of other draws are others. Throws InternalError before tuning.
  const Tuning& tuning() const;
  std::int64_t tuned_layers() const { return static_cast<std::int64_t>(tuning().layers.size()); }
  std::int64_t removed() const;
  std::vector<std::uint64_t> seeds() const;  // ascending, each once; empty before tuning
};

// How a removal was chosen, without how many.
struct RemovalRule {
  std::string metric;
  Removal::Where where = Removal::Where::kOutside;
  bool spaced = false;
  bool operator==(const RemovalRule&) const = default;
};

// The groups of one setting. The results must outlive it.
class StudyGroups {
 public:
  StudyGroups(const StudyResults& results, StudySetting setting);

  const StudySetting& setting() const { return setting_; }
  // A quarter of the layers, rounded, at least one: the paper's size.
  std::int64_t quarter() const;

  // In the order of strategy (all, spread, blocks, random, by score), modules, data, size, offset, learning rate; runs
  // of the search for a learning rate are left out.
  std::vector<ModelGroup> of(Treatment treatment) const;
  // Absent where nothing of it was measured. Of the same group with several learning rates it is the one with the most
  // seeds, then the lowest rate.
  std::optional<ModelGroup> base() const;
  std::optional<ModelGroup> aligned() const;
  struct Axes {
    std::string strategy;
    std::int64_t layers = 0;
    double data_fraction = 1;
    std::int64_t offset = 0;
    std::string modules = "all";
  };
  std::optional<ModelGroup> tuned(const Axes& axes) const;
  std::optional<ModelGroup> all(double data_fraction = 1) const;
  // "paper" where it has so many layers, else "uniform" of so many at offset 0.
  std::optional<ModelGroup> spread(std::int64_t layers, double data_fraction = 1) const;
  // What was made of a tuned group by removing so many layers by that rule; 0: its models of which some were removed,
  // so that a curve compares the same seeds.
  std::optional<ModelGroup> pruned(const ModelGroup& tuned, const RemovalRule& rule, std::int64_t removed) const;
  // The models of a tuned group from which layers were removed by any rule.
  ModelGroup pruned_sources(const ModelGroup& tuned) const;
  // The rules by which layers were removed from a tuned group.
  std::vector<RemovalRule> removals(const ModelGroup& tuned) const;
  // The tuned group that a reverted, pruned or healed one was made of.
  std::optional<ModelGroup> source(const ModelGroup& made) const;
  // group_name() of one of them, with the learning rate where tuned groups differ in that alone.
  std::string name_with_rate(const ModelGroup& group) const;

 private:
  std::optional<ModelGroup> only(Treatment treatment) const;

  StudySetting setting_;
  std::vector<ModelGroup> groups_;
};

// Every setting in which something was tuned, in the order of the results; of an LVLM that was not, with no data.
std::vector<StudySetting> settings_of(const StudyResults& results);

// "uniform 2 of 8", with what is not usual: "uniform 2 of 8 at offset 1, attention, 25% of the data".
std::string group_name(const ModelGroup& group, const StudySetting& setting);

}  // namespace striate::study

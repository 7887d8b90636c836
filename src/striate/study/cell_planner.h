// Makes the cells of a definition, each once (cells.h).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "striate/study/cells.h"

namespace striate::study {

class CellPlanner {
 public:
  CellPlanner(const StudyDefinition& study, std::vector<std::int64_t> layers);

  std::vector<Cell> plan();

 private:
  // The cell, which is new only where none has its settings. Fills in `id`, `settings`, `level` and the needs that
  // follow from its other members.
  std::size_t add(Cell cell, const std::string& words, nlohmann::json settings);
  std::string id_of(std::size_t cell) const { return cells_[cell].id; }

  void plan_base(std::size_t model);
  void plan_grid(const Grid& grid, std::uint64_t seed, std::size_t model, std::size_t data);
  // The tunings of one strategy and size: its offsets, draws, fractions and rates.
  void plan_rule(const Grid& grid, const Cell& rule);
  void plan_tuning(const Grid& grid, Cell tuning);
  void plan_reversions(std::size_t tune);
  void plan_prunings(std::size_t tune);
  void plan_healings(std::size_t tune);
  void plan_healed(std::size_t cut, std::size_t whole, const std::string& trained);

  std::size_t world(std::size_t data);
  std::optional<std::size_t> align(std::size_t model, std::size_t data, std::uint64_t seed);
  // Of the model that `of` names; `change`: what tuning changed as well.
  std::size_t score(const Cell& of, std::int64_t samples, bool change);
  std::optional<std::size_t> scores_for(const Cell& tuning);
  std::size_t tune(Cell tuning);
  // Its numbers count: it is measured, and its projector too.
  void report(std::size_t tune);
  std::size_t choose(const Cell& tuning);
  std::size_t cut(std::size_t tune, std::int64_t removed, Removal::Where where);
  std::size_t heal(std::size_t cut, const std::string& trained, std::optional<std::size_t> beside_of);
  // Every measure of the model that `of` names; `sees`: the visual ones too.
  std::vector<std::size_t> measure(const Cell& of, bool validation, bool sees);
  // The same for the model that a cell makes.
  std::vector<std::size_t> measure_result(std::size_t cell, bool validation);

  // A later cell of the same tuning, which goes on from `subject`.
  Cell after(std::size_t subject, CellKind kind) const;
  // What settings say of a path; a world that it lies in is added to `cell`'s needs.
  std::string path_setting(const std::string& path, Cell& cell);
  nlohmann::json benchmark_settings(const BenchmarkDefinition& benchmark, Cell& cell);
  nlohmann::json loss_settings(const LossDefinition& loss, Cell& cell);
  nlohmann::json model_settings(std::size_t model) const;
  // The model, its projector and the cell it comes from: what settings say of what a cell goes on from.
  nlohmann::json origin_settings(const Cell& cell) const;
  std::string words_of(const Cell& cell) const;
  // Writes the size as a number of layers, and "all" for a rule that names every layer. Throws InvalidInput for layers
  // that there are not.
  void check_layers(const Grid& grid, Cell& rule) const;
  bool is_selected(const Selection& of, const Cell& tune) const;
  bool prunes(const Cell& cut) const;

  const StudyDefinition& study_;
  std::vector<std::int64_t> layers_;
  std::vector<Cell> cells_;
  std::map<std::string, std::size_t> known_;  // by id
  std::vector<std::size_t> tunes_;            // that are reported
};

}  // namespace striate::study

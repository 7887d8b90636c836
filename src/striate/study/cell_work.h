// The work of each kind of cell. What every function returns is CellRecord::result; the folder of the cell is absent
// where the work cannot be resumed, else as an earlier process left it.
#pragma once

#include <nlohmann/json.hpp>

#include "striate/model/placement.h"
#include "striate/study/cell_run.h"
#include "striate/train/training_request.h"

namespace striate::study {

struct CellWork {
  const Study& study;
  const Cell& cell;
  const CellObserver& observer;
  const StopFlag& stop;

  std::filesystem::path out() const { return study.folder.cell(cell); }
  const DataDefinition& data() const { return study.definition.data[cell.data]; }
  const ModelDefinition& model() const { return study.definition.models[cell.model]; }
  // What the model was before any tuning: the whole one, or its language model.
  std::filesystem::path base() const { return study.path(model().path.empty() ? model().llm : model().path); }
  std::optional<TemplateKind> conversation() const;
  // Where and in what the definition wants it computed. Throws InvalidInput when there is no such device.
  Placement placement() const;
  // Of another cell. Throws Internal where it is not done: the caller has looked.
  CellRecord record(std::size_t other) const;
  std::filesystem::path scores() const;
  // Throws InvalidInput for a recipe that contradicts itself.
  TrainingRequest training(const Recipe& recipe, Stage stage, TuneKind kind) const;
  // Trains, and lets go of the checkpoints once the result is there.
  nlohmann::json train(const TrainingRequest& request) const;
};

// Layers of the tuning that a cell goes on from, as a list.
std::vector<std::int64_t> tuned_layers(const CellWork& work);
// Which layers may not go.
std::string protected_layers(const CellWork& work);

nlohmann::json render_world(const CellWork& work);
nlohmann::json align_projector(const CellWork& work);
nlohmann::json tune_region(const CellWork& work);
nlohmann::json choose_rate(const CellWork& work);
nlohmann::json score_layers_of(const CellWork& work);
nlohmann::json ask_benchmark(const CellWork& work);
nlohmann::json measure_loss(const CellWork& work);
nlohmann::json revert_layers_of(const CellWork& work);
nlohmann::json prune_in_memory(const CellWork& work);
nlohmann::json cut_layers(const CellWork& work);
nlohmann::json heal_cut(const CellWork& work);

}  // namespace striate::study

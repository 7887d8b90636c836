#include "striate/study/cell_run.h"

#include <chrono>

#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/study/cell_work.h"
#include "striate/tensor/matrix.h"
#include "striate/train/trainer.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;

// Runs whose folders an interrupted process leaves in a state that the next one goes on from.
bool is_resumable(CellKind kind) {
  switch (kind) {
    case CellKind::kAlign:
    case CellKind::kTune:
    case CellKind::kHeal:
    case CellKind::kAsk:
    case CellKind::kPrune:
      return true;
    default:
      return false;
  }
}

// Why there is no model that the cell could measure or go on from: a trial that it needs diverged.
std::optional<std::string> diverged_need(const CellWork& work) {
  if (work.cell.kind == CellKind::kChoose) return std::nullopt;
  for (const std::size_t need : work.cell.needs) {
    const nlohmann::json reason = work.record(need).result.value(kDiverged, nlohmann::json());
    if (reason.is_string()) return reason.get<std::string>();
  }
  return std::nullopt;
}

nlohmann::json work_of(const CellWork& work) {
  if (const auto reason = diverged_need(work)) return {{kDiverged, *reason}};
  switch (work.cell.kind) {
    case CellKind::kWorld:
      return render_world(work);
    case CellKind::kAlign:
      return align_projector(work);
    case CellKind::kScore:
      return score_layers_of(work);
    case CellKind::kTune:
      return tune_region(work);
    case CellKind::kAsk:
      return ask_benchmark(work);
    case CellKind::kLoss:
      return measure_loss(work);
    case CellKind::kChoose:
      return choose_rate(work);
    case CellKind::kRevert:
      return revert_layers_of(work);
    case CellKind::kPrune:
      return prune_in_memory(work);
    case CellKind::kCut:
      return cut_layers(work);
    case CellKind::kHeal:
      return heal_cut(work);
  }
  throw internal_error("a cell of no kind");
}

void require_needs(const Study& study, const Cell& cell) {
  for (const std::size_t need : cell.needs) {
    if (study.folder.record(study.cells[need])) continue;
    throw invalid_input(cat("cell ", cell.id, " needs ", study.cells[need].id, ", which is not done"),
                        cat("run that one first (it is number ", need + 1, "), or all: striate study run"));
  }
}

}  // namespace

int run_cell(const Study& study, std::size_t index, const CellObserver& observer, const StopFlag& stop) {
  const Cell& cell = study.cells.at(index);
  if (study.folder.record(cell)) return 0;
  require_needs(study, cell);
  const auto lock = study.folder.lock(cell);
  if (study.folder.record(cell)) return 0;  // by whoever had the lock before
  const fs::path out = study.folder.cell(cell);
  CellRecord record;
  record.resumed = path_exists(out);
  if (record.resumed && !is_resumable(cell.kind)) {
    std::error_code failed;
    fs::remove_all(out, failed);
    record.resumed = false;
  }
  study.folder.forget_failure(cell);
  const auto begin = std::chrono::steady_clock::now();
  const double before = processor_seconds();
  const CellWork work{study, cell, observer, stop};
  record.result = work_of(work);
  if (stop.reason() != 0) return stop.reason();
  record.seconds = seconds_since(begin);
  record.processor_seconds = processor_seconds() - before;
  const Placement placement = work.placement();
  record.peak_memory = peak_memory(placement.device);
  const bool by_model = cell.kind != CellKind::kWorld && cell.kind != CellKind::kChoose;
  if (by_model)
    record.computed = cat(compute_name(placement.compute), " on ", placement.device.is_cpu() ? "cpu" : "cuda");
  study.folder.finish(cell, record);
  return 0;
}

}  // namespace striate::study

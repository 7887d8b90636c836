// Where the cells of a study stand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "striate/study/study.h"

namespace striate::study {

enum class CellState { kWaiting, kRunning, kDone, kFailed, kNotRun };  // kNotRun: needs one that failed

std::string name(CellState state);

struct CellStatus {
  CellState state = CellState::kWaiting;
  std::optional<CellRecord> record;  // of one that is done
  std::string failure;               // of one that failed
};

struct StudyStatus {
  std::vector<CellStatus> cells;  // as Study::cells
  std::int64_t done = 0, running = 0, failed = 0, waiting = 0, not_run = 0;
  // Of what is left, one cell at a time: as long as finished cells of the same kind took on average. nullopt: of a kind
  // that is left none is finished.
  std::optional<double> seconds_left;
};

// Throws what StudyFolder::record() throws.
StudyStatus status_of(const Study& study);

}  // namespace striate::study

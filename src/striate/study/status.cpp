#include "striate/study/status.h"

#include <algorithm>
#include <map>

#include "striate/base/error.h"

namespace striate::study {

std::string name(CellState state) {
  switch (state) {
    case CellState::kWaiting:
      return "waiting";
    case CellState::kRunning:
      return "running";
    case CellState::kDone:
      return "done";
    case CellState::kFailed:
      return "failed";
    case CellState::kNotRun:
      return "not run";
  }
  throw internal_error("a cell in no state");
}

StudyStatus status_of(const Study& study) {
  StudyStatus status;
  struct Taken {
    double seconds = 0;
    std::int64_t cells = 0;
  };
  std::map<CellKind, Taken> taken;
  std::map<CellKind, std::int64_t> left;
  for (const Cell& cell : study.cells) {
    CellStatus one;
    one.record = study.folder.record(cell);
    const std::optional<std::string> failure = study.folder.failure(cell);
    const bool lost = std::any_of(cell.needs.begin(), cell.needs.end(), [&](std::size_t need) {
      const CellState state = status.cells[need].state;
      return state == CellState::kFailed || state == CellState::kNotRun;
    });
    if (one.record) {
      one.state = CellState::kDone;
      taken[cell.kind].seconds += one.record->seconds;
      ++taken[cell.kind].cells;
    } else if (study.folder.is_running(cell)) {
      one.state = CellState::kRunning;
    } else if (failure) {
      one.state = CellState::kFailed;
      one.failure = *failure;
    } else if (lost) {
      one.state = CellState::kNotRun;
    }
    std::int64_t* const counts[] = {&status.waiting, &status.running, &status.done, &status.failed, &status.not_run};
    ++*counts[static_cast<std::size_t>(one.state)];
    if (one.state == CellState::kWaiting || one.state == CellState::kRunning) ++left[cell.kind];
    status.cells.push_back(std::move(one));
  }
  double seconds = 0;
  for (const auto& [kind, cells] : left) {
    const auto known = taken.find(kind);
    if (known == taken.end()) return status;
    seconds += known->second.seconds / static_cast<double>(known->second.cells) * static_cast<double>(cells);
  }
  status.seconds_left = seconds;
  return status;
}

}  // namespace striate::study

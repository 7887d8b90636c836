// Doing the work of one cell, in the calling process.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "striate/base/notes.h"
#include "striate/base/stop_flag.h"
#include "striate/study/study.h"

namespace striate::study {

// What happens meanwhile; each may be empty.
struct CellObserver {
  Notes notes;
  // How far it is: steps, questions, ... done.
  std::function<void(std::int64_t done, std::int64_t total)> progress;
};

// Runs a cell to its end, or goes on with what an earlier process left of it; a cell that is done is left alone.
// Returns the reason of the stop flag; 0: it is done. On a CPU it computes on the definition's number of threads.
// Throws InvalidInput when a cell that it needs is not done or another process has it, and what the work throws.
int run_cell(const Study& study, std::size_t cell, const CellObserver& observer, const StopFlag& stop = {});

}  // namespace striate::study

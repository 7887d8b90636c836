// Running the cells of a study, several at a time, each in a process of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/stop_flag.h"
#include "striate/study/study.h"

namespace striate::study {

// A cell whose process has ended.
struct EndedCell {
  std::size_t cell = 0;
  bool well = false;   // its exit status was 0
  std::string reason;  // why not, in one line
};

// Starts processes: what the schedule asks of the program around it.
class CellLauncher {
 public:
  virtual ~CellLauncher() = default;
  // Starts the process of a cell. No other one has `slot`, from 0 to the number of jobs less one.
  virtual void start(const Study& study, std::size_t cell, int slot) = 0;
  // Waits a moment for one of those that were started to end; nullopt: none has.
  virtual std::optional<EndedCell> wait() = 0;
  // Asks all that run to stop where they can go on later.
  virtual void stop() = 0;
};

struct ScheduleObserver {
  std::function<void(std::size_t cell)> started;
  std::function<void(std::size_t cell, const CellRecord& record)> done;
  std::function<void(std::size_t cell, const std::string& reason)> failed;
};

struct ScheduleResult {
  std::int64_t earlier = 0;  // done when the run began
  std::int64_t done = 0;     // done by it
  std::vector<std::size_t> failed;
  std::vector<std::size_t> not_run;  // need one that failed
  int stop_reason = 0;               // of the stop flag; 0: nobody asked
};

// Makes the study's folder, or goes on in it; runs every cell that is not done, the first ones first, at most `jobs` at
// a time, each once all that it needs is done. Cells that failed earlier are tried again. One process at a time: throws
// InvalidInput where another one runs the study; and what StudyFolder::begin() throws, and record() of a cell.
ScheduleResult run_cells(const Study& study, int jobs, CellLauncher& launcher, const ScheduleObserver& observer,
                         const StopFlag& stop = {});

}  // namespace striate::study

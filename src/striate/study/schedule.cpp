#include "striate/study/schedule.h"

#include <algorithm>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/process_lock.h"
#include "striate/base/strings.h"

namespace striate::study {
namespace {

enum class Stand { kWaiting, kRunning, kDone, kFailed, kNotRun };

class Schedule {
 public:
  Schedule(const Study& study, int jobs, CellLauncher& launcher, const ScheduleObserver& observer)
      : study_(study), launcher_(launcher), observer_(observer), stands_(study.cells.size()) {
    for (int slot = jobs - 1; slot >= 0; --slot) free_slots_.push_back(slot);
    for (std::size_t cell = 0; cell < study.cells.size(); ++cell) {
      if (!study.folder.record(study.cells[cell])) continue;
      stands_[cell] = Stand::kDone;
      ++result_.earlier;
    }
  }

  ScheduleResult run(const StopFlag& stop) {
    bool asked = false;
    while (true) {
      if (stop.reason() != 0 && !asked) {
        launcher_.stop();
        asked = true;
      }
      if (!asked) start_ready();
      if (running_.empty() && (asked || !elsewhere_)) break;
      if (const std::optional<EndedCell> ended = launcher_.wait()) take(*ended, asked);
    }
    result_.stop_reason = stop.reason();
    for (std::size_t cell = 0; cell < stands_.size(); ++cell) {
      if (stands_[cell] == Stand::kFailed) result_.failed.push_back(cell);
      if (stands_[cell] == Stand::kNotRun) result_.not_run.push_back(cell);
    }
    return std::move(result_);
  }

 private:
  // Starts what can be started, as long as there is room.
  void start_ready() {
    elsewhere_ = false;
    for (std::size_t cell = 0; cell < stands_.size() && !free_slots_.empty(); ++cell) {
      if (stands_[cell] != Stand::kWaiting) continue;
      const std::vector<std::size_t>& needs = study_.cells[cell].needs;
      const auto lost = [&](std::size_t need) {
        return stands_[need] == Stand::kFailed || stands_[need] == Stand::kNotRun;
      };
      if (std::any_of(needs.begin(), needs.end(), lost)) {
        stands_[cell] = Stand::kNotRun;
        continue;
      }
      const bool ready =
          std::all_of(needs.begin(), needs.end(), [&](std::size_t need) { return stands_[need] == Stand::kDone; });
      if (!ready || is_done_elsewhere(cell)) continue;
      const int slot = free_slots_.back();
      free_slots_.pop_back();
      launcher_.start(study_, cell, slot);
      stands_[cell] = Stand::kRunning;
      running_.emplace_back(cell, slot);
      if (observer_.started) observer_.started(cell);
    }
  }

  // A process that no schedule started (a job of a cluster's, one that outlived a killed run) may have it, or had.
  bool is_done_elsewhere(std::size_t cell) {
    if (study_.folder.is_running(study_.cells[cell])) {
      elsewhere_ = true;
      return true;
    }
    if (!study_.folder.record(study_.cells[cell])) return false;
    stands_[cell] = Stand::kDone;
    ++result_.earlier;
    return true;
  }

  void take(const EndedCell& ended, bool asked) {
    const auto at = std::find_if(running_.begin(), running_.end(),
                                 [&](const auto& running) { return running.first == ended.cell; });
    if (at == running_.end()) throw internal_error("a cell ended that was not started");
    free_slots_.push_back(at->second);
    running_.erase(at);
    const Cell& cell = study_.cells[ended.cell];
    const std::optional<CellRecord> record = study_.folder.record(cell);
    if (record) {
      stands_[ended.cell] = Stand::kDone;
      ++result_.done;
      if (observer_.done) observer_.done(ended.cell, *record);
      return;
    }
    // One that was asked to stop is no failure: it waits for the next run. Nor is one that another process took first.
    const bool waits = asked || study_.folder.is_running(cell);
    stands_[ended.cell] = waits ? Stand::kWaiting : Stand::kFailed;
    if (waits) return;
    const std::string reason = ended.reason.empty() ? std::string("its process ended without a result") : ended.reason;
    study_.folder.fail(cell, reason);
    if (observer_.failed) observer_.failed(ended.cell, reason);
  }

  const Study& study_;
  CellLauncher& launcher_;
  const ScheduleObserver& observer_;
  std::vector<Stand> stands_;
  std::vector<int> free_slots_;
  std::vector<std::pair<std::size_t, int>> running_;  // cell, slot
  bool elsewhere_ = false;                            // a cell that could be started is run by another process
  ScheduleResult result_;
};

}  // namespace

ScheduleResult run_cells(const Study& study, int jobs, CellLauncher& launcher, const ScheduleObserver& observer,
                         const StopFlag& stop) {
  if (jobs < 1) throw invalid_input(cat("`jobs` ", jobs, " is less than 1"), "give 1 or more");
  if (study.folder.root().empty()) study.folder.begin(study.definition);  // which says what is missing
  make_folders(study.folder.root());
  const FolderLock lock(study.folder.root());
  study.folder.begin(study.definition);
  return Schedule(study, jobs, launcher, observer).run(stop);
}

}  // namespace striate::study

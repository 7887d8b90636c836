#include "striate/study/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <set>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "tests/study/written_study.h"

namespace striate::study {
namespace {

using testing::HasSubstr;

// "Runs" cells by noting them done at once; those of `failing` end without a result.
class FakeProcesses : public CellLauncher {
 public:
  void start(const Study& study, std::size_t cell, int slot) override {
    EXPECT_TRUE(slots_.insert(slot).second) << "two cells have slot " << slot;
    most_ = std::max(most_, slots_.size());
    for (const std::size_t need : study.cells[cell].needs) {
      EXPECT_TRUE(study.folder.record(study.cells[need])) << study.cells[need].id;
    }
    order.push_back(cell);
    running_.push_back({cell, slot});
    study_ = &study;
  }
  std::optional<EndedCell> wait() override {
    const auto [cell, slot] = running_.front();
    running_.pop_front();
    slots_.erase(slot);
    const Cell& ended = study_->cells[cell];
    if (failing.contains(ended.id)) return EndedCell{cell, false, "the disk is full"};
    if (stopped) return EndedCell{cell, false, {}};
    study_->folder.finish(ended, {});
    if (stop_after_first != nullptr) stop_after_first->ask(15);
    return EndedCell{cell, true, {}};
  }
  void stop() override { stopped = true; }

  std::size_t most() const { return most_; }

  std::vector<std::size_t> order;
  std::set<std::string> failing;
  StopFlag* stop_after_first = nullptr;
  bool stopped = false;

 private:
  const Study* study_ = nullptr;
  std::deque<std::pair<std::size_t, int>> running_;
  std::set<int> slots_;
  std::size_t most_ = 0;
};

class Schedule : public test::WrittenStudy {
 protected:
  Study open(const std::string& text, const std::string& out = "out") {
    StudyDefinition definition = read(text);
    std::vector<Cell> cells = plan_cells(definition, {8});
    return {std::move(definition), {8}, std::move(cells), StudyFolder(home_.path() / out)};
  }
};

TEST_F(Schedule, EveryCellRunsOnceAfterWhatItNeedsAndAtMostSoManyAtATime) {
  for (const int jobs : {1, 3}) {
    const Study study = open(small_study(), std::to_string(jobs));
    FakeProcesses processes;
    const ScheduleResult result = run_cells(study, jobs, processes, {});
    EXPECT_EQ(result.done, std::ssize(study.cells));
    EXPECT_EQ(processes.order.size(), study.cells.size());
    EXPECT_EQ(processes.most(), static_cast<std::size_t>(jobs));
    FakeProcesses again;
    EXPECT_EQ(run_cells(study, jobs, again, {}).earlier, std::ssize(study.cells));
    EXPECT_TRUE(again.order.empty());
  }
}

TEST_F(Schedule, AFailedCellTakesWithItOnlyWhatNeedsItAndIsTriedAgain) {
  const Study study = open(small_study());
  const auto align = std::ranges::find(study.cells, CellKind::kAlign, &Cell::kind);
  FakeProcesses processes;
  processes.failing = {align->id};
  const ScheduleResult result = run_cells(study, 2, processes, {});
  EXPECT_EQ(result.failed.size(), 1U);
  EXPECT_EQ(study.folder.failure(*align), "the disk is full");
  // One seed's projector: half of the tunings and all that measures them.
  EXPECT_GT(result.not_run.size(), 10U);
  EXPECT_EQ(result.done + 1 + std::ssize(result.not_run), std::ssize(study.cells));
  FakeProcesses again;
  const ScheduleResult second = run_cells(study, 2, again, {});
  EXPECT_TRUE(second.failed.empty());
  EXPECT_EQ(second.done + second.earlier, std::ssize(study.cells));
}

TEST_F(Schedule, AStudyThatIsStoppedStartsNothingMoreAndGoesOn) {
  const Study study = open(small_study());
  StopFlag stop;
  FakeProcesses processes;
  processes.stop_after_first = &stop;
  const ScheduleResult result = run_cells(study, 2, processes, {}, stop);
  EXPECT_EQ(result.stop_reason, 15);
  EXPECT_TRUE(processes.stopped);
  EXPECT_TRUE(result.failed.empty());
  EXPECT_LE(processes.order.size(), 3U);
  FakeProcesses again;
  const ScheduleResult second = run_cells(study, 2, again, {});
  EXPECT_EQ(second.done + second.earlier, std::ssize(study.cells));
}

TEST_F(Schedule, ACellThatIsAddedLaterRunsAlone) {
  FakeProcesses first;
  run_cells(open(small_study()), 1, first, {});
  const std::string added = "[[loss]]\nname = \"seen\"\ndata = \"seen.json\"\n";
  const Study study = open(small_study() + added);
  FakeProcesses second;
  const ScheduleResult result = run_cells(study, 1, second, {});
  EXPECT_EQ(result.done, 8);  // of two aligned models and six tuned ones
  for (const std::size_t cell : second.order) EXPECT_THAT(study.cells[cell].id, HasSubstr("loss-seen"));
}

TEST_F(Schedule, AFolderOfSomethingElseIsLeftAlone) {
  const Study study = open(small_study());
  std::filesystem::create_directories(home_.path() / "out");
  striate::write_file(home_.path() / "out/thesis.txt", "mine");
  FakeProcesses processes;
  EXPECT_THROW(run_cells(study, 1, processes, {}), Error);
  EXPECT_TRUE(processes.order.empty());
  EXPECT_EQ(read_file(home_.path() / "out/thesis.txt"), "mine");
}

TEST_F(Schedule, AnotherStudysFolderAndCellsAreRefused) {
  const Study study = open(small_study());
  FakeProcesses processes;
  run_cells(study, 1, processes, {});
  std::string other = small_study();
  other.replace(other.find("small"), 5, "other");
  EXPECT_THROW(run_cells(open(other), 1, processes, {}), Error);
  const Cell& cell = study.cells.front();
  nlohmann::json record = read_json_file(study.folder.cell(cell) / "cell.json");
  record["settings"]["kind"] = "other";
  striate::write_file(study.folder.cell(cell) / "cell.json", record.dump());
  try {
    study.folder.record(cell);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a cell of another study"));
  }
}

}  // namespace
}  // namespace striate::study

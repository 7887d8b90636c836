// What a study will take, before anything runs: time and disk of every cell.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "striate/study/study.h"
#include "striate/train/run_plan.h"

namespace striate::study {

struct CellForecast {
  std::optional<double> seconds;  // absent: nothing is known of such a cell on this machine
  std::int64_t disk = 0;          // bytes that stay
};

struct StudyForecast {
  std::vector<CellForecast> cells;  // as Study::cells
  double seconds = 0;               // of all that are known, one at a time
  bool complete = true;             // all are
  std::int64_t disk = 0;            // of all cells, and the shared features of pictures
  std::int64_t features = 0;        // of these: the features
};

// Throws InvalidInput for a file of the definition that is not there: data, pictures, questions.
void check_files(const Study& study);

// On one machine, a CPU with as many threads as the definition says. Trainings are planned as by striate plan;
// measurements are taken to cost their passes through the model. Reads headers and samples, no weights, and measures
// the CPU's rates once. Throws what check_files() and plan_run() throw.
StudyForecast forecast(const Study& study, const AskedMachine& machine);

}  // namespace striate::study

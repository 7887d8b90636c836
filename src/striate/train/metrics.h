// metrics.jsonl: one line of JSON for every step of a run, and one for every evaluation.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/base/output_file.h"
#include "striate/eval/held_out.h"

namespace striate {

// What a loss is made of where a teacher adds to it (train/distillation.h): each before its weight.
struct LossTerms {
  double ce = 0;
  double hidden = 0;
  double kl = 0;
};

// What one optimiser step was like.
struct StepMetrics {
  std::int64_t step = 0;           // counted from 1: the number of steps taken once this one is
  double epoch = 0;                // passes over the data, this step included
  double loss = 0;                 // mean over the step's targets, all ranks; with a teacher the sum of
                                   // the weighted terms
  std::optional<LossTerms> terms;  // with a teacher
  double gradient_norm = 0;        // before clipping
  std::vector<std::pair<std::string, double>> rates;  // learning rate of every group that is trained
  std::int64_t tokens = 0;                            // of this step, all ranks, image rows counted
  std::int64_t targets = 0;
  std::int64_t samples = 0;
  bool skipped = false;  // loss or gradient was not finite: nothing was updated
  // From here on timings and the like, which differ between two runs of the same thing.
  double seconds = 0;
  double wait_seconds = 0;         // of these, for data
  double processor_seconds = 0;    // of all threads of rank 0 from when the samples were there to the end of the step
  std::uint64_t memory_bytes = 0;  // largest so far, of this process (on a GPU: of the device)
};

std::string to_json_line(const StepMetrics& metrics);
std::string to_json_line(const EvaluationMetrics& metrics);

// The file's name in a run's folder.
inline constexpr const char* kMetricsFile = "metrics.jsonl";

// What the file in a run's folder says of a step.
struct RecordedStep {
  double loss = std::numeric_limits<double>::quiet_NaN();  // also where nothing is said of the step
  // After the step; without answers and standard errors, which are not in the file.
  std::optional<EvaluationMetrics> evaluation;
};
RecordedStep recorded_step(const std::filesystem::path& folder, std::int64_t step);

// Appends lines to it. Each is handed to the system at once: a killed run loses none.
class MetricsFile {
 public:
  // Opens or makes the file in a run's folder. Lines about steps after `resume_step` are cut, so that the file of a
  // resumed run is that of an unbroken one. Where the run `owes_evaluation` of that step (RunState), a line of this
  // evaluation is cut as well: an earlier attempt to go on has left it. Throws ResourceError.
  MetricsFile(const std::filesystem::path& folder, std::int64_t resume_step, bool owes_evaluation = false);

  void append(const std::string& line);
  // Puts all lines on the disk; a checkpoint that is written next must not be ahead of them.
  void sync() { file_.sync(); }

 private:
  AppendFile file_;
};

}  // namespace striate

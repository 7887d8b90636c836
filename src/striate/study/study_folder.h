// The folder of a study.
//
//   study.toml        the definition as it was last run
//   study.json        the study's name, and the folder that paths in the definition are relative to
//   cells/ID/         an ordinary run's folder each; cell.json in it is written last
//   logs/ID.txt       what the cell's process printed
//   failed/ID.json    why a cell ended with an error, until it is run again
//   features/         the vision tower's features of pictures, shared by all cells
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "striate/base/process_lock.h"
#include "striate/study/cells.h"

namespace striate::study {

// A cell that is done, as cell.json says.
struct CellRecord {
  double seconds = 0;            // elapsed, of the process that finished it
  double processor_seconds = 0;  // of all its threads
  std::uint64_t peak_memory = 0;
  std::string computed;  // "fp32 on cpu": in what its numbers were computed; empty: by no model, or not known
  bool resumed = false;  // an earlier process had begun it
  nlohmann::json result = nlohmann::json::object();  // what the cell itself has to tell
};

// The key of a result that says why a trial, or what needs one, has no model: its loss did not stay finite. Such a cell
// is done: the learning rate is not the best one.
inline constexpr const char* kDiverged = "diverged";
// The key of the result of a benchmark's answers that learning rates are chosen by: the mean score of the questions in
// percent, whatever the unit of the benchmark's own score. Absent in what an earlier Striate wrote.
inline constexpr const char* kQuestionMean = "question_mean";

class StudyFolder {
 public:
  explicit StudyFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path cell(const Cell& cell) const { return root_ / "cells" / cell.id; }
  std::filesystem::path log(const Cell& cell) const { return root_ / "logs" / (cell.id + ".txt"); }
  std::filesystem::path features() const { return root_ / "features"; }

  // Makes the folder that of `study`, or goes on in it: the definition is copied, what it is relative to is kept.
  // Throws InvalidInput where the folder holds something else, or a study of another name.
  void begin(const StudyDefinition& study) const;
  // The definition that the folder was begun with. Throws InvalidInput where there is none.
  StudyDefinition definition() const;

  // nullopt: not done. Throws InvalidInput for a record of a cell with other settings: of another study.
  std::optional<CellRecord> record(const Cell& cell) const;
  // Written last: from here on the cell is done.
  void finish(const Cell& cell, const CellRecord& record) const;
  // Why it failed, in one line; nullopt: it did not.
  std::optional<std::string> failure(const Cell& cell) const;
  void fail(const Cell& cell, const std::string& reason) const;
  void forget_failure(const Cell& cell) const;

  // Held by the process that runs a cell. Throws InvalidInput where another one does.
  std::unique_ptr<const FolderLock> lock(const Cell& cell) const;
  // Whether a process runs it. Takes the lock for a moment, in which lock() waits.
  bool is_running(const Cell& cell) const;

 private:
  std::filesystem::path root_;
};

}  // namespace striate::study

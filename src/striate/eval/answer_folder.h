// The folder that answers are kept in while benchmarks are asked: it can be stopped at any moment and gone on with.
//
//   run.json                      what is asked of which model
//   BENCHMARK/answers.jsonl       an answer a line, as they come
//   BENCHMARK/.rank-1/...         answers of the other ranks until they are joined
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "striate/answers/answer_file.h"
#include "striate/base/process_lock.h"
#include "striate/ranks/collective.h"

namespace striate {

// Made for every rank; rank 0 alone writes run.json and joins the ranks' answers.
class AnswerFolder {
 public:
  // `identity` is what makes two runs the same: the model's content, precision, template. Throws InvalidInput when
  // another process writes there, when the folder holds something else, or a run with another identity, naming the
  // first setting that differs; Resource when the file system refuses.
  AnswerFolder(std::filesystem::path folder, const nlohmann::json& identity, Collective& ranks);
  ~AnswerFolder();
  AnswerFolder(const AnswerFolder&) = delete;
  AnswerFolder& operator=(const AnswerFolder&) = delete;

  // Adds a benchmark to run.json, or finds it there asked alike. `part` is its entry: "name", "data", "protocol",
  // "asking", "questions" (the hash of all prompts), ... Throws InvalidInput where what was asked differs.
  void begin(const nlohmann::json& part);
  // Writes facts about the run that do not belong to its identity (figures, the result).
  void note(const std::string& name, const nlohmann::json& value);

  // Of this rank; what other ranks of an earlier run had answered is joined first. One at a time.
  std::unique_ptr<AnswerLog> open_log(const std::string& benchmark);
  // The questions that any rank has answered by `asking`, before open_log() of this run.
  std::set<std::string> answered(const std::string& benchmark, const std::string& asking) const;
  // Waits for every rank, then rank 0 puts all answers into one file.
  void join(const std::string& benchmark);

  std::filesystem::path part_folder(const std::string& benchmark) const { return folder_ / benchmark; }

 private:
  void collect(const std::string& benchmark) const;
  void write() const;

  std::filesystem::path folder_;
  Collective& ranks_;
  std::unique_ptr<FolderLock> lock_;  // of rank 0
  nlohmann::json record_;
};

}  // namespace striate

// Files of answers: read whoever wrote them, and grow while a run makes them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/answers/answer.h"
#include "striate/base/output_file.h"

namespace striate {

struct AnswerFile {
  std::filesystem::path path;
  std::vector<Answer> answers{};
  bool cut_line = false;  // the last line was not whole: a killed run wrote it. It is no answer
};

// The answers in a file, or of a run's folder: its answers.jsonl, or BENCHMARK/answers.jsonl in it. Forms, told by name
// and content: JSON Lines, a JSON list of records, a JSON object {id: text}, CSV with a header, and MME's text files
// ("picture<tab>question<tab>right answer<tab>answer" in TASK.txt; a folder of these is read whole).
// Throws InvalidInput where there is no such file, CorruptData that names file and line where one is malformed.
AnswerFile read_answers(const std::filesystem::path& path, const std::string& benchmark);

// answers.jsonl of a run that goes on: what is there is read, and new answers are appended. Nothing is changed before
// the first append() or sync(), which removes a last line that is not whole: a file that turns out to be another's
// stays as it is. One process at a time may hold it; whoever runs several asks in one of them.
class AnswerLog {
 public:
  // Throws what read_answers() throws, and InvalidInput for a name that leads out of the folder.
  explicit AnswerLog(const std::filesystem::path& folder, const std::filesystem::path& name = "answers.jsonl");

  const std::vector<Answer>& earlier() const { return earlier_; }
  // On the system's side when it returns: a killed process loses nothing. Throws Resource where the file cannot be
  // written.
  void append(const Answer& answer);
  // On the disk when it returns: a power cut loses nothing.
  void sync();

 private:
  AppendFile& opened();

  OutputPath path_;
  std::vector<Answer> earlier_;
  std::optional<std::string> mended_;  // what the file must hold before anything is appended, where it does not
  std::unique_ptr<AppendFile> file_;
};

}  // namespace striate

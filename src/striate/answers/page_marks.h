// What the questions of a run's page are told apart by: what became of their answers, and their kinds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "striate/answers/run_page.h"

namespace striate {

// A mark's id, as filters name it, and its words.
struct PageMark {
  std::string id, words;
};

// What may have become of an answer, in the order of the filter. `compared`: the columns are runs.
std::vector<PageMark> answer_marks(bool compared, bool several);
// Of one question: what each column's item says about it (nullptr: the column does not have it).
std::vector<std::string> marks_of(const std::vector<const Scored*>& items, bool compared);

// "right", "wrong", "0.60", "not answered".
std::string verdict_text(const Scored* item);

// The values of the kinds that the chosen questions have, each with its mark's id.
class KindMarks {
 public:
  KindMarks(const Benchmark& benchmark, const std::vector<const Question*>& questions);

  // Kinds with two values or more, and their values in ascending order.
  const std::vector<std::pair<std::string, std::vector<PageMark>>>& kinds() const { return kinds_; }
  std::vector<std::string> of(const Question& question) const;

 private:
  std::vector<std::pair<std::string, std::vector<PageMark>>> kinds_;
  std::map<std::pair<std::string, std::string>, std::string> ids_;
};

}  // namespace striate

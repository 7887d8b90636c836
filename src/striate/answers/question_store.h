// Questions one at a time, out of a file: while many thousands are asked they take no memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "striate/answers/question.h"
#include "striate/base/scratch_file.h"

namespace striate {

class QuestionStore {
 public:
  QuestionStore() = default;
  // Puts them into a scratch file, from which they are read again as they are. Throws Resource.
  explicit QuestionStore(const std::vector<Question>& questions);

  std::size_t size() const { return begins_.empty() ? 0 : begins_.size() - 1; }
  // Question `number` of size(), from 0. Throws Resource.
  Question at(std::size_t number) const;

 private:
  std::unique_ptr<ScratchFile> file_;
  std::vector<std::uint64_t> begins_;  // where each begins, and where the last one ends
};

}  // namespace striate

// Malformed rows: the first one ends the reading, or they are left out and listed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "striate/tables/rows.h"

namespace striate {

enum class OnBadRow { kStop, kSkip };

// A row that was left out.
struct SkippedRow {
  std::string place;  // "test.jsonl:12"
  std::string reason, hint;
};

// What is done with the rows of several files, and what became of the malformed ones.
class BadRows {
 public:
  explicit BadRows(OnBadRow policy) : policy_(policy) {}

  // Hands the next row to `take`; false at the end. A malformed row is add()ed, whether the reader or `take` finds it:
  // `take` throws BadRow, and changes nothing before it does. Other errors pass through.
  bool take_next(RowReader& rows, const std::function<void(const Row&)>& take);
  // The same for every row.
  void take_all(RowReader& rows, const std::function<void(const Row&)>& take);

  // Lists the row under kSkip; else throws it, with a hint that says how to leave it out.
  void add(const BadRow& row);
  const std::vector<SkippedRow>& skipped() const { return skipped_; }

 private:
  OnBadRow policy_;
  std::vector<SkippedRow> skipped_;
};

}  // namespace striate

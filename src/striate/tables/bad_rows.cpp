#include "striate/tables/bad_rows.h"

#include "striate/base/strings.h"

namespace striate {

bool BadRows::take_next(RowReader& rows, const std::function<void(const Row&)>& take) {
  try {
    const std::optional<Row> row = rows.next();
    if (!row) return false;
    take(*row);
  } catch (const BadRow& bad) {
    add(bad);
  }
  return true;
}

void BadRows::take_all(RowReader& rows, const std::function<void(const Row&)>& take) {
  while (take_next(rows, take)) {
  }
}

void BadRows::add(const BadRow& row) {
  if (policy_ == OnBadRow::kStop) {
    throw BadRow(row.place(), row.what(), cat(row.hint(), "; or leave such rows out: `on_bad_sample` skip"));
  }
  skipped_.push_back({row.place(), row.what(), row.hint()});
}

}  // namespace striate

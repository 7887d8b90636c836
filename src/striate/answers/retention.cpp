#include "striate/answers/retention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace striate {
namespace {

bool any_without_pictures(std::span<const PartComparison* const> parts, std::size_t run) {
  return std::ranges::any_of(parts, [&](const PartComparison* part) { return part->without_pictures[run]; });
}

double share_kept(const RunDifference& difference, bool lower_is_better) {
  const double before = lower_is_better ? difference.second : difference.first;
  const double after = lower_is_better ? difference.first : difference.second;
  return before == 0 ? std::numeric_limits<double>::quiet_NaN() : after / before;
}

RetentionRow retention_row(const PartComparison& part, const std::vector<std::size_t>& runs) {
  RetentionRow row{&part};
  for (const std::size_t run : runs) {
    row.values.push_back(part.runs[run].headline.value);
    row.kept.push_back(run == 0 ? 1 : share_kept(part.differences[run - 1], part.protocol->lower_is_better));
  }
  return row;
}

}  // namespace

Retention retention(std::span<const PartComparison* const> parts) {
  Retention table;
  if (parts.empty()) return table;
  for (std::size_t run = 0; run < parts.front()->runs.size(); ++run) {
    if (!any_without_pictures(parts, run)) table.runs.push_back(run);
  }
  if (table.runs.size() < 2 || table.runs.front() != 0) return {};
  for (const PartComparison* part : parts) {
    std::vector<RetentionRow>& rows = is_visual(*part->benchmark, *part->set) ? table.visual : table.text;
    rows.push_back(retention_row(*part, table.runs));
  }
  return table;
}

double mean_kept(std::span<const RetentionRow> rows, std::size_t column) {
  double sum = 0, count = 0;
  for (const RetentionRow& row : rows) {
    if (!std::isfinite(row.kept[column])) continue;
    sum += row.kept[column];
    ++count;
  }
  return sum / count;
}

}  // namespace striate

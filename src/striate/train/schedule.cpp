#include "striate/train/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr std::array<std::pair<ScheduleKind, const char*>, 3> kNames = {
    {{ScheduleKind::kConstant, "constant"}, {ScheduleKind::kLinear, "linear"}, {ScheduleKind::kCosine, "cosine"}}};

}  // namespace

ScheduleKind parse_schedule(std::string_view name) {
  std::vector<std::string> known;
  for (const auto& [kind, title] : kNames) {
    if (name == title) return kind;
    known.emplace_back(title);
  }
  const std::string nearest = nearest_name(name, known);
  throw invalid_input(cat("`schedule` ", name, ": unknown schedule"),
                      nearest.empty() ? "known: " + join(known, ", ") : cat("did you mean ", nearest, "?"));
}

std::string schedule_name(ScheduleKind kind) {
  for (const auto& [known, title] : kNames) {
    if (known == kind) return title;
  }
  throw internal_error("unknown schedule");
}

double Schedule::factor(std::int64_t step) const {
  const auto at = static_cast<double>(step);
  const auto warmup = static_cast<double>(warmup_steps);
  if (step < warmup_steps) return at / std::max(1.0, warmup);
  if (kind == ScheduleKind::kConstant) return 1.0;
  const double rest = std::max(1.0, static_cast<double>(total_steps - warmup_steps));
  const double progress = (at - warmup) / rest;
  if (kind == ScheduleKind::kLinear) return std::max(0.0, 1.0 - progress);
  // Past the end the rate stays zero and does not rise again.
  return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(progress, 1.0))));
}

bool Schedule::is_always_zero() const {
  // The rate is above zero in the second step of a warm-up, and in the first of a run without one.
  return total_steps > 0 && factor(0) == 0 && (total_steps == 1 || factor(1) == 0);
}

std::int64_t warmup_steps_of(double ratio, std::int64_t total_steps) {
  const auto steps = static_cast<std::int64_t>(std::ceil(ratio * static_cast<double>(total_steps)));
  return std::min(steps, std::max<std::int64_t>(0, total_steps - 1));
}

}  // namespace striate

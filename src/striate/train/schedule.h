// Learning-rate schedules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace striate {

enum class ScheduleKind { kConstant, kLinear, kCosine };

// "constant", "linear", "cosine"; throws InvalidInput, naming the nearest, otherwise.
ScheduleKind parse_schedule(std::string_view name);
std::string schedule_name(ScheduleKind kind);

// Warm-up from zero, then constant, or down to zero along a line or half a cosine. The factors are those of
// transformers' get_constant_schedule_with_warmup, get_linear_... and get_cosine_schedule_with_warmup; so the first
// step of a run that warms up has rate zero, as theirs has.
struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  std::int64_t total_steps = 0;
  std::int64_t warmup_steps = 0;

  // What the base rates are multiplied by in optimiser step `step`, counted from 0.
  double factor(std::int64_t step) const;
  // Whether the factor is zero in every step of the run: nothing can be learned then.
  bool is_always_zero() const;
};

// Steps of a warm-up given as a share of the run: ceil(ratio * total_steps), as transformers counts them; but never all
// of them: a run of one step takes it at the full rate, where transformers would take it at rate zero.
std::int64_t warmup_steps_of(double ratio, std::int64_t total_steps);

}  // namespace striate

// What a plan says, for people and for programs.
#pragma once

#include <nlohmann/json.hpp>

#include "striate/train/run_plan.h"

namespace striate::app {

void print_plan(const RunPlan& planned);
nlohmann::json plan_json(const RunPlan& planned);

}  // namespace striate::app

// What commands say of a held-out evaluation while they run.
#pragma once

#include <string>

#include "striate/eval/held_out.h"

namespace striate::app {

// On standard error: "WHAT: loss 1.2345, 3 of 20 answers exact (15.0%)", and the first three answers.
void print_held_out(const std::string& what, const EvaluationMetrics& metrics);

}  // namespace striate::app

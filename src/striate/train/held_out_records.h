// The answers of a run's evaluations: OUT/eval/step-000200.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>

#include "striate/eval/held_out.h"
#include "striate/ranks/collective.h"

namespace striate {

// Writes the answers of all ranks into one file of `out`, a line each (held_out_lines()) in the order of the samples.
// Called by every rank; what an earlier process had written for this step is
// replaced. Throws ResourceError.
void keep_held_out_answers(const std::filesystem::path& out, const EvaluationMetrics& metrics, Collective& ranks);

}  // namespace striate

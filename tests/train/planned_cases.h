// Models, streams and ways to tune them whose memory is planned, and held to what a pass takes.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "striate/model/lvlm.h"
#include "striate/train/plan.h"
#include "striate/train/tunable.h"

namespace striate::test {

struct PlannedCase {
  std::string name;
  DecoderKind kind = DecoderKind::kLlama;
  TuneOptions tune;
  at::ScalarType stored = at::kFloat;
  Compute compute = Compute::kFloat32;
};

void PrintTo(const PlannedCase& c, std::ostream* out);
std::vector<PlannedCase> planned_cases();

// A decoder of five layers with pictures of 16 rows.
ModelConfig planned_config(DecoderKind kind);
std::unique_ptr<Lvlm> planned_model(const ModelConfig& config, at::ScalarType stored, const Placement& placement);

// 40 samples of a picture and 44 tokens, the last 20 of which are learned.
PackedBatch planned_batch(const ModelConfig& config, Compute compute);
inline constexpr PlannedStream kPlannedStream = {
    .tokens = 40 * 60, .image_rows = 40 * 16, .targets = 40 * 20, .samples = 40};

Placement planned_placement(const PlannedCase& c, at::Device device);
PlanRequest planned_request(const PlannedCase& c);
// Within a tenth.
void expect_near_plan(std::int64_t measured, std::int64_t planned, const std::string& what);

}  // namespace striate::test

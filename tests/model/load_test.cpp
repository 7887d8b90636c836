// What loading costs, and which flags make a model.
#include "striate/model/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/model/init_model.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

// Bytes of memory that belong to this process alone (mapped files do not count).
std::int64_t private_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
  }
  return 0;
}

TEST(Loading, LeavesWeightsInTheMappedFile) {
  const TemporaryFolder folder;
  InitRequest request;
  request.arch = "llava-1.5-7b";
  request.changes.layers = 2;
  request.changes.hidden = 1024;
  request.changes.heads = 8;
  request.changes.mlp = 2816;
  request.changes.vocab = 32064;
  request.changes.vision_layers = 2;
  request.out = folder.path() / "model";
  const InitResult made = init_model(request);
  ModelPaths paths;
  paths.model = request.out;
  for (const Compute compute : {Compute::kFloat32, Compute::kBFloat16}) {
    const std::int64_t before = private_bytes();
    const auto model = load_model(open_checkpoint(paths), Placement{at::kCPU, compute});
    EXPECT_LE(private_bytes() - before, static_cast<std::int64_t>(made.bytes) / 10) << compute_name(compute);
  }
}

TEST(Loading, NeedsAModelOrAllItsParts) {
  EXPECT_ERROR(open_checkpoint({}), "no model was given");
  ModelPaths both;
  both.model = "a";
  both.llm = "b";
  EXPECT_ERROR(open_checkpoint(both), "`model` and `llm`");
  ModelPaths absent;
  absent.model = "/no/such/model";
  EXPECT_ERROR(open_checkpoint(absent), "/no/such/model: no such folder");
}

}  // namespace
}  // namespace striate::test

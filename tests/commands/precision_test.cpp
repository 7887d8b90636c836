// Which type is computed in, by what the GPU can do; TF32 unless fp32 is asked for by name.
#include <ATen/Context.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/striate/model_flags.h"
#include "striate/base/error.h"
#include "tests/commands/called_command.h"
#include "tests/support/errors.h"

namespace striate::test {
namespace {

using app::chosen_compute;
using testing::HasSubstr;

const at::Device kGpu(at::kCUDA, 0);

TEST(Precision, CardsBeforeAmpereComputeInFp32) {
  for (const int capability : {61, 70, 75}) {
    EXPECT_EQ(chosen_compute("auto", kGpu, capability), Compute::kFloat32);
    EXPECT_EQ(chosen_compute("fp32", kGpu, capability), Compute::kFloat32);
  }
  for (const int capability : {80, 86, 89, 90, 120}) {
    EXPECT_EQ(chosen_compute("auto", kGpu, capability), Compute::kBFloat16);
    EXPECT_EQ(chosen_compute("bf16", kGpu, capability), Compute::kBFloat16);
    EXPECT_EQ(chosen_compute("fp32", kGpu, capability), Compute::kFloat32);
  }
  EXPECT_EQ(chosen_compute("auto", kGpu, std::nullopt), Compute::kBFloat16);
  EXPECT_EQ(chosen_compute("auto", at::kCPU, std::nullopt), best_compute());
}

TEST(Precision, Bf16IsRefusedWhereTheCardHasNone) {
  EXPECT_ERROR(chosen_compute("bf16", kGpu, 75),
               "--precision bf16: this GPU (compute capability 7.5) has no units for bf16");
  try {
    chosen_compute("bf16", kGpu, 70);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.hint(), HasSubstr("--precision fp32"));
  }
}

TEST(Precision, Fp16IsRefusedAndTheLineSaysWhatToTake) {
  const Error error = refusal_of({"chat", "--model", "m", "--precision", "fp16"});
  EXPECT_EQ(error.exit_code(), 2);
  EXPECT_THAT(std::string(error.what()), HasSubstr("take fp32 on a GPU without bf16"));
  EXPECT_FALSE(error.hint().empty());
}

TEST(Precision, Tf32IsUsedUnlessFp32IsAskedForByName) {
  const auto tf32_after = [](const std::string& precision) {
    app::ComputeFlags flags;
    flags.device = "cpu";
    flags.precision = precision;
    flags.placement();
    const at::Context& context = at::globalContext();
    EXPECT_EQ(context.allowTF32CuBLAS(), context.allowTF32CuDNN(at::Float32Op::CONV));
    return context.allowTF32CuBLAS();
  };
  EXPECT_TRUE(tf32_after("auto"));
  EXPECT_FALSE(tf32_after("fp32"));
  EXPECT_TRUE(tf32_after("bf16"));
  EXPECT_FALSE(tf32_after("fp32"));
}

}  // namespace
}  // namespace striate::test

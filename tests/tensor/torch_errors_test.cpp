#include "striate/tensor/torch_errors.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>
#include <system_error>
#include <vector>

namespace striate {
namespace {

using testing::HasSubstr;

c10::Error torch_error(const std::string& message) {
  return c10::Error(c10::SourceLocation::current(), message);
}

TEST(Explain, ErrorsOfOursStayAsTheyAre) {
  const Error error = explain(corrupt_data("a.bin: cut short", "download it again"), "less of everything");
  EXPECT_EQ(error.kind(), ErrorKind::kCorruptData);
  EXPECT_STREQ(error.what(), "a.bin: cut short");
  EXPECT_EQ(error.hint(), "download it again");
}

TEST(Explain, MainMemoryThatRanOutSaysWhatWasAskedFor) {
  const c10::Error error = torch_error(
      "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
      "262144000 bytes. Error code 12 (Cannot allocate memory)");
  EXPECT_TRUE(ran_out_of_memory(error));
  const Error ours = explain(error, "less of everything");
  EXPECT_EQ(ours.kind(), ErrorKind::kResource);
  EXPECT_EQ(ours.exit_code(), 1);
  EXPECT_STREQ(ours.what(), "out of memory: 262 MB more was requested");
  EXPECT_EQ(ours.hint(), "less of everything");
}

// As LibTorch's own allocator throws it, whatever it says in this version.
TEST(Explain, KnowsWhatLibtorchThrows) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer allocates in the place of the C library, and LibTorch then ends the process";
#endif
  try {
    c10::GetCPUAllocator()->allocate(std::size_t{1} << 52);
    FAIL();
  } catch (const std::exception& error) {
    EXPECT_STREQ(explain(error).what(), "out of memory: 4504 TB more was requested");
  }
}

TEST(Explain, AGpusMemoryThatRanOutSaysWhichAndHowMuch) {
  const c10::OutOfMemoryError error(
      c10::SourceLocation::current(),
      "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 3 has a total capacity of 79.11 GiB of which 1.06 GiB is "
      "free. Including non-PyTorch memory, this process has 78.04 GiB memory in use.");
  EXPECT_STREQ(explain(error).what(),
               "out of memory on GPU 3: 2.00 GiB more was requested, 1.06 GiB of 79.11 GiB is free");
  EXPECT_EQ(explain(error).exit_code(), 1);
  for (const char* text : {"CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
                           "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"}) {
    EXPECT_TRUE(ran_out_of_memory(torch_error(text)));
    EXPECT_STREQ(explain(torch_error(text)).what(), "out of memory on the GPU");
  }
}

TEST(Explain, TheStandardLibrarysFailuresOfTheMachineAreNoBugs) {
  EXPECT_STREQ(explain(std::bad_alloc()).what(), "out of memory");
  EXPECT_TRUE(ran_out_of_memory(std::bad_alloc()));
  const std::system_error threads(std::make_error_code(std::errc::resource_unavailable_try_again));
  EXPECT_EQ(explain(threads).kind(), ErrorKind::kResource);
  EXPECT_THAT(explain(threads).what(), HasSubstr("cannot start more threads"));
  EXPECT_FALSE(ran_out_of_memory(threads));
}

TEST(Explain, AnythingElseIsABugWithTheFirstLineOfItsText) {
  const Error error = explain(std::runtime_error("vector is too long\nframe #0: here\nframe #1: there"));
  EXPECT_EQ(error.kind(), ErrorKind::kInternal);
  EXPECT_STREQ(error.what(), "internal: vector is too long");
  EXPECT_THAT(error.hint(), HasSubstr("bug in striate"));
  EXPECT_FALSE(ran_out_of_memory(std::runtime_error("x")));
}

}  // namespace
}  // namespace striate

// Loading and launching over a driver that only writes down what it is asked, and the cache of compiled kernels.
#include "striate/cuda/gpu_kernels.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "striate/base/files.h"
#include "striate/base/paths.h"
#include "striate/cuda/compute_capability.h"
#include "striate/cuda/launchers.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate::cuda {
namespace {

// Handles are addresses in here.
struct WrittenDown {
  std::vector<std::string> loaded;    // images
  std::vector<std::string> launched;  // functions, by name
  std::vector<std::string> functions;
  unsigned blocks = 0, threads = 0;
  void* stream = nullptr;
  std::vector<std::int64_t> arguments;  // of the last launch, as far as they have 8 bytes
  int fails_with = 0;
  void* current = nullptr;
  int major = 9;
};

Driver driver_that_writes(WrittenDown& down) {
  Driver driver;
  driver.Init = [](unsigned) { return 0; };
  driver.DeviceGet = [](int* device, int ordinal) {
    *device = ordinal;
    return 0;
  };
  driver.DeviceGetAttribute = [&down](int* value, int attribute, int) {
    *value = attribute == 75 ? down.major : 0;
    return 0;
  };
  driver.DevicePrimaryCtxRetain = [&down](void** context, int) {
    *context = &down;
    return 0;
  };
  driver.CtxGetCurrent = [&down](void** context) {
    *context = down.current;
    return 0;
  };
  driver.CtxSetCurrent = [&down](void* context) {
    down.current = context;
    return 0;
  };
  driver.ModuleLoadData = [&down](void** module, const void* image) {
    down.loaded.emplace_back(static_cast<const char*>(image));
    *module = &down;
    return 0;
  };
  driver.ModuleGetFunction = [&down](void** function, void*, const char* name) {
    down.functions.emplace_back(name);
    *function = reinterpret_cast<void*>(down.functions.size());
    return 0;
  };
  driver.LaunchKernel = [&down](void* function, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned,
                                unsigned, unsigned, void* stream, void** arguments, void**) {
    if (down.fails_with != 0) return down.fails_with;
    down.launched.push_back(down.functions.at(reinterpret_cast<std::size_t>(function) - 1));
    down.blocks = blocks;
    down.threads = threads;
    down.stream = stream;
    down.arguments = {*static_cast<const std::int64_t*>(arguments[0]), *static_cast<const std::int64_t*>(arguments[1])};
    return 0;
  };
  driver.GetErrorString = [](int error, const char** text) {
    *text = error == 700 ? "an illegal memory access was encountered" : nullptr;
    return error == 700 ? 0 : 1;
  };
  return driver;
}

// Compiles to the name of the source, and counts.
CubinCache counting_cache(const std::optional<std::filesystem::path>& folder, int& compiled) {
  return {folder, "compiler 1", [&compiled](const KernelSource& source, int architecture) {
            ++compiled;
            return std::string(source.name) + " for " + std::to_string(architecture);
          }};
}

TEST(GpuKernels, ASourceIsCompiledAndLoadedOnceAndItsKernelsAreLaunchedOnTheStream) {
  WrittenDown down;
  int compiled = 0, stream = 0;
  GpuKernels kernels(driver_that_writes(down), counting_cache(std::nullopt, compiled), 0, [&] { return &stream; });
  EXPECT_EQ(kernels.architecture(), 90);
  const at::Tensor x = at::ones({5, 24}).slice(1, 0, 16);
  const at::Tensor weight = at::ones({16});
  rms_norm(kernels, x, weight, 1e-5);
  rms_norm(kernels, x, weight, 1e-5);
  add_rms_norm(kernels, x.to(at::kBFloat16), x.to(at::kBFloat16), weight, 1e-5);
  silu_multiply(kernels, x, x);
  EXPECT_EQ(compiled, 2);
  EXPECT_EQ(down.loaded, (std::vector<std::string>{"norm for 90", "activation for 90"}));
  EXPECT_EQ(down.functions, (std::vector<std::string>{"rms_norm_f32", "add_rms_norm_bf16", "silu_multiply_f32"}));
  EXPECT_EQ(down.launched,
            (std::vector<std::string>{"rms_norm_f32", "rms_norm_f32", "add_rms_norm_bf16", "silu_multiply_f32"}));
  EXPECT_EQ(down.blocks, 5U);
  EXPECT_EQ(down.threads, 256U);
  EXPECT_EQ(down.stream, &stream);
  EXPECT_EQ(down.current, &down);
  int other = 0;  // another device's context stays the thread's own
  down.current = &other;
  silu_multiply(kernels, x, x);
  EXPECT_EQ(down.current, &other);
  EXPECT_EQ(down.arguments, (std::vector<std::int64_t>{reinterpret_cast<std::int64_t>(x.const_data_ptr()), 24}));
}

TEST(GpuKernels, WhatTheDriverRefusesIsSaidInItsWords) {
  WrittenDown down;
  int compiled = 0;
  GpuKernels kernels(driver_that_writes(down), counting_cache(std::nullopt, compiled), 0, [] { return nullptr; });
  down.fails_with = 700;
  EXPECT_ERROR(quick_gelu(kernels, at::ones({4})), "CUDA, quick_gelu_f32: an illegal memory access was encountered");
  down.fails_with = 1234;
  EXPECT_ERROR(quick_gelu(kernels, at::ones({4})), "CUDA, quick_gelu_f32: error 1234");
  down.major = 7;
  EXPECT_ERROR(GpuKernels(driver_that_writes(down), counting_cache(std::nullopt, compiled), 0, [] { return nullptr; }),
               "a GPU of compute capability 7.0");
}

TEST(GpuKernels, WithoutADriverThatIsTheReasonForNone) {
  if (test::error_of([] { open_driver(); }) == "no error") GTEST_SKIP() << "this machine has an NVIDIA driver";
  const GpuKernelsState& state = gpu_kernels(at::Device(at::kCUDA, 0));
  EXPECT_EQ(state.runner, nullptr);
  EXPECT_TRUE(state.description.starts_with("LibTorch's operators in place of own kernels: ")) << state.description;
  EXPECT_EQ(&state, &gpu_kernels(at::Device(at::kCUDA, 0)));
}

TEST(ComputeCapability, ADeviceThatIsNotThereHasNone) {
  EXPECT_FALSE(compute_capability(1000));
}

TEST(CubinCache, KeepsWhatWasCompiledForTheNextProcess) {
  const test::TemporaryFolder folder;
  const std::filesystem::path inside = folder.path() / "striate" / "kernels";
  int compiled = 0;
  const KernelSource source{"norm", "text"};
  EXPECT_EQ(counting_cache(inside, compiled).cubin(source, 80), "norm for 80");
  EXPECT_EQ(counting_cache(inside, compiled).cubin(source, 80), "norm for 80");
  EXPECT_EQ(compiled, 1);
  // Another architecture, text or compiler is another file.
  counting_cache(inside, compiled).cubin(source, 90);
  counting_cache(inside, compiled).cubin({"norm", "text "}, 80);
  CubinCache(inside, "compiler 2", [](const KernelSource&, int) { return "other"; }).cubin(source, 80);
  EXPECT_EQ(compiled, 3);
  EXPECT_EQ(entries_of(inside).size(), 4U);
  for (const auto& entry : entries_of(inside)) EXPECT_TRUE(entry.filename().string().starts_with("norm-sm_"));
}

TEST(CubinCache, DamagedFilesAreMadeAgain) {
  const test::TemporaryFolder folder;
  int compiled = 0;
  const KernelSource source{"norm", "text"};
  counting_cache(folder.path(), compiled).cubin(source, 80);
  const std::filesystem::path file = entries_of(folder.path()).at(0);
  const std::string whole = read_file(file);
  for (const std::string& damaged :
       {std::string(), whole.substr(0, 20), whole.substr(0, whole.size() - 1), whole + "x"}) {
    write_file(file, damaged);
    compiled = 0;
    EXPECT_EQ(counting_cache(folder.path(), compiled).cubin(source, 80), "norm for 80");
    EXPECT_EQ(compiled, 1);
    EXPECT_EQ(read_file(file), whole);
  }
}

TEST(CubinCache, AFolderThatCannotBeWrittenIsPassedOver) {
  const test::TemporaryFolder folder;
  write_file(folder.path() / "file", "no folder");
  int compiled = 0;
  EXPECT_EQ(counting_cache(folder.path() / "file" / "kernels", compiled).cubin({"norm", "text"}, 80), "norm for 80");
  EXPECT_EQ(compiled, 1);
}

TEST(CubinCache, ItsFolderIsTheUsersCache) {
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("XDG_CACHE_HOME", "/some/cache", 1);
  EXPECT_EQ(user_cache_folder(), std::filesystem::path("/some/cache/striate/kernels"));
  ::setenv("XDG_CACHE_HOME", "relative", 1);  // is to be ignored (XDG Base Directory Specification)
  const char* home = std::getenv("HOME");
  const auto wanted =
      home == nullptr ? std::nullopt : std::optional(std::filesystem::path(home) / ".cache/striate/kernels");
  EXPECT_EQ(user_cache_folder(), wanted);
  if (before == nullptr) {
    ::unsetenv("XDG_CACHE_HOME");
  } else {
    ::setenv("XDG_CACHE_HOME", kept.c_str(), 1);
  }
}

}  // namespace
}  // namespace striate::cuda

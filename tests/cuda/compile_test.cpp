// Every kernel compiled for real GPUs, by NVRTC and by nvcc, and what it takes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/cuda/kernel_source.h"
#include "tests/cuda/cubin_usage.h"
#include "tests/cuda/nvrtc_here.h"
#include "tests/support/command.h"
#include "tests/support/emulator/emulated_kernels.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

constexpr int kArchitectures[] = {80, 90, 100};
// With 64 registers four blocks of 256 threads share a multiprocessor, which is what kernels that wait for memory need.
constexpr std::uint32_t kMostRegisters = 64;
constexpr std::uint64_t kMostSharedBytes = 2048;

std::set<std::string> names_of(const cuda::KernelSource& source) {
  std::set<std::string> names;
  for (const std::string& name : emulated::emulated_kernel_names()) {
    if (name.starts_with(std::string(source.name) + "/")) names.insert(name.substr(source.name.size() + 1));
  }
  return names;
}

TEST(Kernels, TheLibraryHoldsTheSourcesThatTheEmulatorRuns) {
  const auto folder = test::sources() / "src/striate/cuda/kernels";
  EXPECT_EQ(cuda::shared_source(), read_file(folder / cuda::kSharedSourceName));
  for (const cuda::KernelSource& source : cuda::kernel_sources()) {
    EXPECT_EQ(source.text, read_file(folder / (std::string(source.name) + ".cu")));
    // Each kernel of a source is one of the emulator's.
    const std::string text(source.text);
    const std::regex kernel(R"(STRIATE_KERNEL\s+(\w+)\()");
    std::set<std::string> declared;
    for (std::sregex_iterator it(text.begin(), text.end(), kernel), end; it != end; ++it) declared.insert((*it)[1]);
    EXPECT_EQ(declared, names_of(source)) << source.name;
  }
  EXPECT_ERROR(cuda::kernel_source("softmax"), "no kernel source softmax");
}

TEST(Kernels, TheTableOfTheDocumentationHasEach) {
  const std::string page = read_file(test::sources() / "docs/gpu.md");
  for (const std::string& name : emulated::emulated_kernel_names()) {
    const std::size_t slash = name.find('/');
    const std::string row = cat("| ", name.substr(0, slash), " | `", name.substr(slash + 1), "` |");
    EXPECT_NE(page.find(row), page.npos) << name << ": run scripts/kernel-table.sh";
  }
}

TEST(Kernels, NvrtcCompilesEachForEveryArchitectureWithoutSpills) {
  const auto nvrtc = test::nvrtc_here();
  if (!nvrtc) GTEST_SKIP() << "no NVRTC here: scripts/install-nvrtc.sh puts one in .deps/nvrtc";
  for (const cuda::KernelSource& source : cuda::kernel_sources()) {
    for (const int architecture : kArchitectures) {
      const auto kernels = test::cubin_usage(nvrtc->compile(source, architecture));
      std::set<std::string> names;
      for (const auto& [name, usage] : kernels) {
        SCOPED_TRACE(cat(name, " for sm_", architecture));
        names.insert(name);
        EXPECT_GT(usage.registers, 0U);
        EXPECT_LE(usage.registers, kMostRegisters);
        EXPECT_EQ(usage.stack, 0U);
        EXPECT_LE(usage.shared_bytes, kMostSharedBytes);
      }
      EXPECT_EQ(names, names_of(source)) << source.name;
    }
  }
}

TEST(Kernels, NvrtcSaysWhatItCannotDo) {
  const auto nvrtc = test::nvrtc_here();
  if (!nvrtc) GTEST_SKIP() << "no NVRTC here: scripts/install-nvrtc.sh puts one in .deps/nvrtc";
  EXPECT_ERROR(nvrtc->compile({"broken", "__global__ void f() { nothing(); }"}, 80), "broken.cu does not compile");
  EXPECT_ERROR(nvrtc->compile({"future", ""}, 9999), "does not know the architecture sm_9999");
}

TEST(Kernels, WithoutNvrtcThatIsSaid) {
  EXPECT_ERROR(cuda::Nvrtc({"libno-such-nvrtc.so"}), "libno-such-nvrtc.so");
  EXPECT_ERROR(cuda::Nvrtc({"libc.so.6"}).compile(cuda::kernel_sources().front(), 80), "libc.so.6 has no nvrtc");
}

TEST(Kernels, NvccCompilesEachForEveryArchitectureWithoutSpills) {
  if (test::run_command({"sh", "-c", "command -v nvcc"}).exit_code != 0) GTEST_SKIP() << "nvcc is not installed";
  const test::TemporaryFolder folder;
  for (const cuda::KernelSource& source : cuda::kernel_sources()) {
    std::vector<std::string> command = {"nvcc", "--fatbin", "-Xptxas", "-v", "-Werror", "all-warnings"};
    for (const std::string& option : cuda::compile_options()) {
      if (option != cuda::kFunctionsAreTheDevices) command.push_back(option);
    }
    for (const int architecture : kArchitectures) {
      command.push_back(cat("-gencode=arch=compute_", architecture, ",code=sm_", architecture));
    }
    command.insert(command.end(), {(test::sources() / "src/striate/cuda/kernels" / (std::string(source.name) + ".cu")),
                                   "-o", folder.path() / "kernels.fatbin"});
    const test::CommandResult result = test::run_command(command);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const std::string said = result.out + result.err;
    const std::regex registers(R"(Used (\d+) registers)"), spills(R"((\d+) bytes spill stores)");
    std::size_t seen = 0;
    for (std::sregex_iterator it(said.begin(), said.end(), registers), end; it != end; ++it, ++seen) {
      EXPECT_LE(std::stoul((*it)[1]), kMostRegisters) << said;
    }
    EXPECT_EQ(seen, names_of(source).size() * std::size(kArchitectures)) << said;
    for (std::sregex_iterator it(said.begin(), said.end(), spills), end; it != end; ++it) {
      EXPECT_EQ((*it)[1], "0") << said;
    }
  }
}

}  // namespace
}  // namespace striate

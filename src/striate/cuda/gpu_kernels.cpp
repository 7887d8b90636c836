#include "striate/cuda/gpu_kernels.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <utility>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/cuda/nvrtc.h"

namespace striate::cuda {
namespace {

// Numbers of the CUDA Driver API reference.
constexpr int kComputeCapabilityMajor = 75;
constexpr int kComputeCapabilityMinor = 76;
constexpr int kFirstWithBf16 = 80;

// A LibTorch that does not tell the handles of its streams has one that is known: the default stream's is null.
template <typename Stream>
void* handle_of(const Stream& stream) {
  if constexpr (requires { stream.native_handle(); }) {
    return stream.native_handle();
  } else {
    if (stream.id() != 0) throw unsupported("this LibTorch does not tell which stream it uses");
    return nullptr;
  }
}

// The stream as LibTorch's own guard for the device's kind knows it: no header of CUDA is needed.
void* current_stream(at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return handle_of(guard.getStream(device));
}

// The calling thread is in the context while the object lives: it may have none yet, or be in another device's.
class InContext {
 public:
  InContext(const Driver& driver, void* context) : driver_(driver), context_(context) {
    check(driver, driver.CtxGetCurrent(&before_), "asking for the context");
    if (before_ != context) check(driver, driver.CtxSetCurrent(context), "setting the context");
  }
  ~InContext() {
    if (before_ != nullptr && before_ != context_) driver_.CtxSetCurrent(before_);
  }
  InContext(const InContext&) = delete;
  InContext& operator=(const InContext&) = delete;

 private:
  const Driver& driver_;
  void* context_;
  void* before_ = nullptr;
};

GpuKernelsState make_gpu_kernels(at::Device device) {
  try {
    const auto nvrtc = std::make_shared<const Nvrtc>(nvrtc_names());
    CubinCache cache(user_cache_folder(), nvrtc->version(), [nvrtc](const KernelSource& source, int architecture) {
      return nvrtc->compile(source, architecture);
    });
    const c10::DeviceGuard on_device(device);
    current_stream(device);  // throws where this LibTorch does not tell
    auto kernels =
        std::make_shared<GpuKernels>(open_driver(), cache, device.index(), [device] { return current_stream(device); });
    for (const KernelSource& source : kernel_sources()) cache.cubin(source, kernels->architecture());
    return {kernels, cat("kernels compiled by ", nvrtc->version(), " for sm_", kernels->architecture())};
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return {nullptr, "LibTorch's operators in place of own kernels: " + text.substr(0, text.find('\n'))};
  }
}

}  // namespace

GpuKernels::GpuKernels(Driver driver, CubinCache cache, int device, std::function<void*()> stream)
    : driver_(std::move(driver)), cache_(std::move(cache)), stream_(std::move(stream)) {
  check(driver_, driver_.Init(0), "starting");
  int handle = 0, major = 0, minor = 0;
  check(driver_, driver_.DeviceGet(&handle, device), "looking for the device");
  check(driver_, driver_.DeviceGetAttribute(&major, kComputeCapabilityMajor, handle), "asking for its capability");
  check(driver_, driver_.DeviceGetAttribute(&minor, kComputeCapabilityMinor, handle), "asking for its capability");
  architecture_ = 10 * major + minor;
  if (architecture_ < kFirstWithBf16) throw unsupported(cat("a GPU of compute capability ", major, ".", minor));
  // The context that the runtime, and with it LibTorch, uses.
  check(driver_, driver_.DevicePrimaryCtxRetain(&context_, handle), "taking the device's context");
}

void* GpuKernels::function_of(const Launch& launch) {
  const std::lock_guard lock(mutex_);
  if (const auto known = functions_.find(launch.kernel); known != functions_.end()) return known->second;
  auto module = modules_.find(launch.source);
  if (module == modules_.end()) {
    const std::string cubin = cache_.cubin(kernel_source(launch.source), architecture_);
    void* loaded = nullptr;
    check(driver_, driver_.ModuleLoadData(&loaded, cubin.data()), "loading kernels");
    module = modules_.emplace(launch.source, loaded).first;
  }
  void* function = nullptr;
  check(driver_, driver_.ModuleGetFunction(&function, module->second, launch.kernel.c_str()), "finding a kernel");
  functions_.emplace(launch.kernel, function);
  return function;
}

void GpuKernels::launch(const Launch& launch) {
  constexpr std::int64_t kMostBlocks = (std::int64_t{1} << 31) - 1;
  if (launch.blocks > kMostBlocks) throw internal_error(launch.kernel + ": too many blocks");
  const InContext in_context(driver_, context_);
  std::vector<void*> arguments;
  for (const Argument& argument : launch.arguments) arguments.push_back(const_cast<void*>(argument.value));
  check(driver_,
        driver_.LaunchKernel(function_of(launch), static_cast<unsigned>(launch.blocks), 1, 1, kBlockThreads, 1, 1, 0,
                             stream_(), arguments.data(), nullptr),
        launch.kernel.c_str());
}

const GpuKernelsState& gpu_kernels(at::Device device) {
  static std::mutex mutex;
  static std::map<int, GpuKernelsState> devices;
  const std::lock_guard lock(mutex);
  const auto known = devices.find(device.index());
  if (known != devices.end()) return known->second;
  return devices.emplace(device.index(), make_gpu_kernels(device)).first->second;
}

}  // namespace striate::cuda

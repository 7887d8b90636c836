#include "striate/cuda/nvrtc.h"

#include <ATen/Version.h>
#include <dlfcn.h>

#include <algorithm>
#include <filesystem>

#include "striate/base/paths.h"
#include "striate/base/strings.h"

namespace striate::cuda {
namespace {

namespace fs = std::filesystem;

using ProgramHandle = void*;

// A program of NVRTC, destroyed with the object.
class Program {
 public:
  Program(const SharedLibrary& library, const KernelSource& source) : library_(library) {
    const std::string text(source.text), name = std::string(source.name) + ".cu", shared(shared_source());
    const char* header = shared.c_str();
    const char* header_name = kSharedSourceName;
    const auto create =
        library.function<int(ProgramHandle*, const char*, const char*, int, const char* const*, const char* const*)>(
            "nvrtcCreateProgram");
    if (create(&handle_, text.c_str(), name.c_str(), 1, &header, &header_name) != 0) {
      throw unsupported("NVRTC takes no program");
    }
  }
  ~Program() { library_.function<int(ProgramHandle*)>("nvrtcDestroyProgram")(&handle_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  int compile(const std::vector<std::string>& options) const {
    std::vector<const char*> texts;
    texts.reserve(options.size());
    for (const std::string& option : options) texts.push_back(option.c_str());
    const auto run = library_.function<int(ProgramHandle, int, const char* const*)>("nvrtcCompileProgram");
    return run(handle_, static_cast<int>(texts.size()), texts.data());
  }
  // What a pair of functions such as nvrtcGetCUBINSize and nvrtcGetCUBIN gives.
  std::string bytes(const char* size_function, const char* function) const {
    std::size_t size = 0;
    std::string bytes;
    if (library_.function<int(ProgramHandle, std::size_t*)>(size_function)(handle_, &size) != 0) return bytes;
    bytes.resize(size);
    if (library_.function<int(ProgramHandle, char*)>(function)(handle_, bytes.data()) != 0) bytes.clear();
    return bytes;
  }

 private:
  const SharedLibrary& library_;
  ProgramHandle handle_ = nullptr;
};

std::vector<int> known_architectures(const SharedLibrary& library) {
  int count = 0;
  if (library.function<int(int*)>("nvrtcGetNumSupportedArchs")(&count) != 0) return {};
  std::vector<int> known(static_cast<std::size_t>(count));
  if (library.function<int(int*)>("nvrtcGetSupportedArchs")(known.data()) != 0) return {};
  return known;
}

// The files of a folder whose names begin so; none where there is no folder.
std::vector<std::string> libraries_in(const fs::path& folder, std::string_view beginning) {
  std::vector<std::string> names;
  if (!is_folder(folder)) return names;
  for (const fs::path& entry : entries_of(folder)) {
    if (entry.filename().string().starts_with(beginning)) names.push_back(entry.string());
  }
  return names;
}

// Some versions look for their built-in functions where the system looks, and not beside themselves. Once opened, these
// are found.
void open_builtins_beside(const std::string& nvrtc) {
  if (nvrtc.find('/') == nvrtc.npos) return;
  for (const std::string& name : libraries_in(folder_of(nvrtc), "libnvrtc-builtins.so")) {
    ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  }
}

}  // namespace

std::vector<std::string> compile_options() {
  return {"-std=c++17", "-fmad=false", "-restrict", kFunctionsAreTheDevices};
}

Nvrtc::Nvrtc(const std::vector<std::string>& names) : library_(names) {
  open_builtins_beside(library_.name());
}

std::string Nvrtc::version() const {
  int major = 0, minor = 0;
  library_.function<int(int*, int*)>("nvrtcVersion")(&major, &minor);
  return cat("NVRTC ", major, ".", minor);
}

std::string Nvrtc::compile(const KernelSource& source, int architecture) const {
  const std::vector<int> known = known_architectures(library_);
  if (std::find(known.begin(), known.end(), architecture) == known.end()) {
    throw unsupported(cat(version(), " does not know the architecture sm_", architecture));
  }
  const Program program(library_, source);
  std::vector<std::string> options = compile_options();
  options.push_back(cat("-arch=sm_", architecture));
  if (program.compile(options) != 0) {
    throw internal_error(cat("kernels/", source.name, ".cu does not compile for sm_", architecture, ": ",
                             program.bytes("nvrtcGetProgramLogSize", "nvrtcGetProgramLog")));
  }
  std::string cubin = program.bytes("nvrtcGetCUBINSize", "nvrtcGetCUBIN");
  if (cubin.empty()) throw unsupported(cat(version(), " gave no machine code for sm_", architecture));
  return cubin;
}

std::vector<std::string> nvrtc_names() {
  constexpr std::string_view kLibrary = "libnvrtc.so";
  std::vector<std::string> names;
  const auto add = [&names](std::vector<std::string> more) { names.insert(names.end(), more.begin(), more.end()); };
  Dl_info torch{};
  if (::dladdr(reinterpret_cast<const void*>(&at::show_config), &torch) != 0 && torch.dli_fname != nullptr) {
    const fs::path lib = folder_of(real_path(torch.dli_fname));  // .../torch/lib
    add(libraries_in(lib, kLibrary));
    const fs::path packages = lib.parent_path().parent_path() / "nvidia";
    if (is_folder(packages)) {
      for (const fs::path& package : entries_of(packages)) add(libraries_in(package / "lib", kLibrary));
    }
  }
  add({"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"});
  return names;
}

}  // namespace striate::cuda

#include "striate/cuda/shared_library.h"

#include <dlfcn.h>

#include "striate/base/strings.h"

namespace striate::cuda {

SharedLibrary::SharedLibrary(const std::vector<std::string>& names) {
  std::string why = "no name to look for";
  for (const std::string& name : names) {
    handle_ = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) {
      name_ = name;
      return;
    }
    const char* said = ::dlerror();
    if (said != nullptr) why = said;
  }
  throw unsupported(why);
}

void* SharedLibrary::symbol(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr) throw unsupported(cat(name_, " has no ", name));
  return found;
}

}  // namespace striate::cuda

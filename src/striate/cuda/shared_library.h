// A library that is opened while the program runs, because it is not on every machine.
#pragma once

#include <string>
#include <vector>

#include "striate/base/error.h"

namespace striate::cuda {

// Stays open until the process ends, as the libraries of CUDA need it.
class SharedLibrary {
 public:
  // The first of `names` (file names or paths) that can be opened. Throws Unsupported where there is none, with what
  // the system says about the last one.
  explicit SharedLibrary(const std::vector<std::string>& names);

  // The one of the names that was opened.
  const std::string& name() const { return name_; }

  // Throws Unsupported where it has no such function.
  template <typename Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(symbol(name));
  }

 private:
  void* symbol(const char* name) const;

  void* handle_ = nullptr;
  std::string name_;
};

}  // namespace striate::cuda

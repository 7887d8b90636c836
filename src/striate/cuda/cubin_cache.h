// Compiled kernels, kept on disk: a kernel is compiled once for each architecture, whoever runs the program next.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "striate/cuda/kernel_source.h"

namespace striate::cuda {

// Where the user's programs keep what they can make again: "$XDG_CACHE_HOME/striate/kernels" or
// "~/.cache/striate/kernels"; nullopt where the environment names neither.
std::optional<std::filesystem::path> user_cache_folder();

// A file is named by the SHA-256 of sources, architecture, options and compiler, begins with the SHA-256 of what
// follows, and is written whole or not at all. A file that is damaged is made again; a folder that cannot be written is
// passed over.
class CubinCache {
 public:
  using Compile = std::function<std::string(const KernelSource& source, int architecture)>;

  // `compiler` names what compiles, with its version.
  CubinCache(std::optional<std::filesystem::path> folder, std::string compiler, Compile compile);

  // The machine code of a source for an architecture. Throws what `compile` throws.
  std::string cubin(const KernelSource& source, int architecture) const;

 private:
  std::optional<std::filesystem::path> folder_;
  std::string compiler_;
  Compile compile_;
};

}  // namespace striate::cuda

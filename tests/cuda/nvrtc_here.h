// The NVRTC of this machine: scripts/install-nvrtc.sh's in .deps/nvrtc, else a CUDA wheel's or the system's.
#pragma once

#include <optional>

#include "striate/cuda/nvrtc.h"

namespace striate::test {

// nullopt where there is none.
std::optional<cuda::Nvrtc> nvrtc_here();

}  // namespace striate::test

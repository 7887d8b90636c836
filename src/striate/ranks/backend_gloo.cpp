#include "striate/base/error.h"
#include "striate/ranks/backend.h"

// libtorch_cpu holds Gloo, but the wheel does not carry Gloo's headers, which the backend's own header includes: only
// there do those of the system come in.
#ifdef STRIATE_GLOO
#define USE_C10D_GLOO
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif

namespace striate {

#ifdef STRIATE_GLOO

c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size,
                                            std::chrono::milliseconds timeout) {
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size,
                                                     c10d::ProcessGroupGloo::Options::create_default(timeout));
}

#else

c10::intrusive_ptr<c10d::Backend> make_gloo(const c10::intrusive_ptr<c10d::Store>&, int, int,
                                            std::chrono::milliseconds) {
  throw unsupported("several ranks: this build of striate has no Gloo",
                    "install Gloo's headers (libgloo-dev) and build again");
}

#endif

}  // namespace striate

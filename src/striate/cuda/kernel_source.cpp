#include "striate/cuda/kernel_source.h"

#include <string>

#include "striate/base/error.h"
#include "striate/cuda/kernel_texts.h"

namespace striate::cuda {

const std::vector<KernelSource>& kernel_sources() {
  static const std::vector<KernelSource> sources = {
      {"activation", activation_text()}, {"cross_entropy", cross_entropy_text()},
      {"dropout", dropout_text()},       {"norm", norm_text()},
      {"optimizer", optimizer_text()},   {"quantized", quantized_text()},
      {"rotary", rotary_text()}};
  return sources;
}

const KernelSource& kernel_source(std::string_view name) {
  for (const KernelSource& source : kernel_sources()) {
    if (source.name == name) return source;
  }
  throw internal_error("no kernel source " + std::string(name));
}

std::string_view shared_source() {
  return device_text();
}

}  // namespace striate::cuda

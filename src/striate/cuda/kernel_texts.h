// The bytes of each file of kernels/, in sources that the build makes (cmake/EmbedFile.cmake).
#pragma once

#include <string_view>

namespace striate::cuda {

std::string_view device_text();
std::string_view activation_text();
std::string_view cross_entropy_text();
std::string_view dropout_text();
std::string_view norm_text();
std::string_view optimizer_text();
std::string_view quantized_text();
std::string_view rotary_text();

}  // namespace striate::cuda

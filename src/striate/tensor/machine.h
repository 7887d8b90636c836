// A description of the machine, for run.json and striate.json.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace striate {

// Why a CUDA device computes without kernels of ours, in one line; nullopt where it has them. LibTorch's operators then
// take their place, with the same results and more launches.
std::optional<std::string> without_gpu_kernels(at::Device device);

// "x86_64, AVX512 with AMX, 2 threads, 16.8 GB memory", and on a GPU what its kernels were compiled by.
nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks);

}  // namespace striate

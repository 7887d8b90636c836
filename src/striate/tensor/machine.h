// What computes here: the machine, its instruction sets, libraries and GPUs. For run.json, striate.json and people.
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

// The libraries that multiply matrices on the CPU: "MKL 2024.2, oneDNN 3.12.0", or "none".
std::string matrix_libraries();
// The instruction sets in use: "LibTorch AVX512; own loops AVX512 with BF16, 2 threads".
std::string instruction_sets();

// "13.0" of the CUDA and "9.13.0" of the cuDNN that this LibTorch computes with; empty where it has none.
std::string cuda_runtime_version();
std::string cudnn_version();

// The machine that `device` ("cpu", "cuda:0") belongs to, and what computes there: processor, instruction sets, memory
// and libraries, and on a GPU its name, memory, compute capability, driver, CUDA, cuDNN and what its kernels were
// compiled by.
nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks);

}  // namespace striate

// A description of the machine, for run.json and striate.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace striate {

// "x86_64, AVX512 with AMX, 2 threads, 16.8 GB memory", and the GPU where one computes.
nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks);

}  // namespace striate

// run.json and striate.json: what a run was, for people, for `--config run.json`, and for whoever gets the result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace striate {

// The folder of a run, before it begins. Throws InvalidInput when `out` holds something already and the run does not
// resume, or is no folder.
void claim_run_folder(const std::filesystem::path& out, bool resume);

// "x86_64, AVX512 with AMX, 2 threads, 16.8 GB memory", and the GPU where one computes.
nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks);

}  // namespace striate

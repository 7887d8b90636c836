// run.json and striate.json: what a run was, for people, for `--config run.json`, and for whoever gets the result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace striate {

// The folder of a run, before it begins. Throws InvalidInput when `out` holds something already and the run does not
// resume, or is no folder.
void claim_run_folder(const std::filesystem::path& out, bool resume);

// "x86_64, AVX512 with AMX, 2 threads, 16.8 GB memory", and the GPU where one computes.
nlohmann::json hardware_description(const std::string& device, const std::string& compute, int ranks);

// The region as run.json and striate.json record it: the spec as given, and the layers, 0-based.
nlohmann::json region_json(const std::string& spec, const std::vector<std::int64_t>& layers, std::int64_t total);

// What striate.json of `folder` says, for the history of what is trained on top of it; null without one.
nlohmann::json earlier_history(const std::filesystem::path& folder);

}  // namespace striate

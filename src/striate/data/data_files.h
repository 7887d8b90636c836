// The files that a data set lies in.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace striate {

// `data` itself; where it is a folder, the Parquet files in it, in ascending order of their names. Throws InvalidInput
// for a folder without any.
std::vector<std::filesystem::path> data_files(const std::filesystem::path& data);

// Whether it is a file that can be read, and Parquet by how it begins.
bool is_parquet(const std::filesystem::path& file);

// A SHA-256 of every byte of the data set's files.
std::string data_hash(const std::filesystem::path& data);

}  // namespace striate

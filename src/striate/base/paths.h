// Queries about paths that users and files give.
//
// Every query follows links and has an answer for absent paths; anything else that keeps the system from looking (a
// link that leads to itself, a name that is too long, a folder that may not be entered, an empty path, a name that is
// not UTF-8) is an Error that names the path. These stand in for std::filesystem's functions, which throw in words of
// their own: tests/base/sources_test.cpp holds that none of those is called.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "striate/base/error.h"

namespace striate {

enum class PathKind { kAbsent, kFile, kFolder, kOther };  // kOther: a pipe, a device, a socket

// What the path leads to; kAbsent also where a part of the path is a file, and for a link to nothing.
PathKind path_kind(const std::filesystem::path& path);
bool path_exists(const std::filesystem::path& path);
bool is_file(const std::filesystem::path& path);    // a regular file
bool is_folder(const std::filesystem::path& path);  // a folder

// The size of a regular file in bytes. Throws InvalidInput where there is none.
std::uint64_t file_size_of(const std::filesystem::path& path);

// What lies in a folder, by name in ascending order. Throws InvalidInput where there is no folder.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);

// The path from the root, without "." and ".."; nothing is looked up.
std::filesystem::path full_path(const std::filesystem::path& path);
// The same with links followed as far as the path exists.
std::filesystem::path real_path(const std::filesystem::path& path);

// The folder that holds a file or a folder of this name: "." for a name alone.
std::filesystem::path folder_of(const std::filesystem::path& path);

// Makes a folder and those above it; an existing one is left as it is. Throws ResourceError where that fails, and
// InvalidInput where a file is in its place.
void make_folders(const std::filesystem::path& folder);

// Throws InvalidInput for a path that nothing can have: empty, no UTF-8, with a zero byte in it.
void check_path(const std::filesystem::path& path);

// The error for a path that could not be looked at or opened, from errno: InvalidInput, or ResourceError where the
// machine is at fault.
Error path_error(const std::filesystem::path& path, int error);

}  // namespace striate

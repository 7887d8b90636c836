// Which mapped file an address belongs to, for the moment when another program cuts that file short.
//
// Weights are read through memory maps. Should a file become shorter meanwhile, reading its missing part is not an
// error that a function could return: the system sends SIGBUS, which ends the process without a message. A program may
// ask for a message (explain_cut_files()); the library by itself changes no signal.
#pragma once

#include <cstddef>
#include <filesystem>

namespace striate {

// From here on, and until it is forgotten, the range is known to belong to that file. MappedFile does both.
void remember_mapping(const std::byte* data, std::size_t size, const std::filesystem::path& path);
void forget_mapping(const std::byte* data);

// The file that `address` was mapped from, as printable text; nullptr for none. May be called in a signal handler.
const char* mapped_file_at(const void* address);

// For programs, once, at their start: a SIGBUS in a mapped file writes one error line that names it and a hint, and
// ends the process with status 1. Any other SIGBUS does what it always did.
void explain_cut_files();

}  // namespace striate

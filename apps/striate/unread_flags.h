// Flags that a command has, but would not read beside the others that were given. A command refuses them: a user who
// gives a flag believes that it does something.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace striate::app {

// Throws InvalidInput for the first of `flags` that was given; `why` continues its name: "--report needs --sweep".
void refuse_unread(const CLI::App& command, const std::vector<std::string>& flags, const std::string& why,
                   const std::string& hint);

// The names of the flags that were typed, for a command that takes others from a file: asked for before the file is
// read. Keys of a file are not refused, because one file may serve runs of several kinds.
using TypedFlags = std::vector<std::string>;
TypedFlags typed_flags(const CLI::App& command);
// The same as above for the first of `flags` that was typed.
void refuse_unread(const TypedFlags& typed, const std::vector<std::string>& flags, const std::string& why,
                   const std::string& hint);

}  // namespace striate::app

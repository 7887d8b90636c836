// Scripts that make a shell complete the program's commands and flags.
#pragma once

#include <string>

#include "apps/striate/command_tree.h"

namespace striate::app {

// A script that bash sources, such as from share/bash-completion/completions/. It needs bash 4 and nothing else.
std::string bash_completion(const CommandEntry& program);

// The file _striate of a folder in zsh's $fpath.
std::string zsh_completion(const CommandEntry& program);

}  // namespace striate::app

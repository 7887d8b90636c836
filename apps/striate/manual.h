// Man pages, made from the commands and flags of the program.
#pragma once

#include <string>

#include "apps/striate/command_tree.h"

namespace striate::app {

// "striate-data-check", as the page of `striate data check` is called.
std::string page_name(const CommandEntry& command);

// The page of one command in the man macros: name, synopsis, its commands, flags by group, the example, exit status.
std::string man_page(const CommandEntry& program, const CommandEntry& command);

}  // namespace striate::app

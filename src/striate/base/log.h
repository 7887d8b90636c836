// Notes to the person at the terminal, on standard error.
//
// Standard output belongs to results. Notes are for what a user wants to know and cannot act on by an error: what was
// chosen, what was ignored. Each is one printable line (base/strings.h), whatever names out of files are in it.
// $STRIATE_LOG = "info" (the default), "warn" or "off" says how many are shown.
#pragma once

#include <string>

namespace striate {

void log_info(const std::string& message);
// Shown as "warning: MESSAGE".
void log_warn(const std::string& message);

}  // namespace striate

// The library's notes on the terminal.
#pragma once

#include "striate/base/notes.h"

namespace striate::app {

// To standard error, by base/log.h.
Notes terminal_notes();

}  // namespace striate::app

// LibTorch's own messages, and the causes of our errors.
#pragma once

#include <exception>
#include <string>

namespace striate::app {

// Whether LibTorch's own warnings and logs, backtraces among them, reach standard error: people see them with --debug
// alone. Its NCCL is also told to leave a rank that has gone to us, where it would end the process in its own words;
// environment variables that say otherwise count. To be called before other threads run.
void show_libtorch_messages(bool show);

// The whole texts of an error and of those that it was made of, one below the other; empty for one of ours alone.
std::string libtorch_text(const std::exception& error);

// What to do when `command` ("train") runs out of memory.
std::string memory_hint(const std::string& command);

}  // namespace striate::app

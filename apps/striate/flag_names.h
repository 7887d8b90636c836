// The program's names for the library's settings.
#pragma once

#include <string>
#include <string_view>

namespace striate::app {

// A text of the library as users of the program read it: "`tokens_per_stream` 4096" (base/setting.h) becomes
// "--tokens-per-stream 4096".
std::string with_flags(std::string_view text);

}  // namespace striate::app

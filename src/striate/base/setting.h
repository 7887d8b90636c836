// How errors and remarks name what a user has set: a field of a request, "`tokens_per_stream`".
//
// The library knows its requests and not the programs that fill them in. Its texts write the name of a setting between
// backticks, as the program's flag has it but with underscores; whoever shows a text puts his own name in its place:
// the program the flag, the program its flag, a server the key of its form.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace striate {

// "`lora_r`" of "lora-r".
std::string setting(std::string_view name);

// `text` with every setting replaced by what `shown` makes of its name. Between other backticks nothing is changed.
std::string with_settings(std::string_view text, const std::function<std::string(std::string_view name)>& shown);

}  // namespace striate

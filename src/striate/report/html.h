// HTML text.
#pragma once

#include <string>
#include <string_view>

namespace striate {

// `text` where HTML expects text or an attribute's value: & < > " ' escaped. Bytes that are not UTF-8 become U+FFFD and
// control characters \u001b, as on a terminal (base/safe_output.h).
std::string html_escape(std::string_view text);

// A mark near the beginning of every page, by which an earlier report is recognised (OutputPath::named).
inline constexpr std::string_view kHtmlMark = "<meta name=\"generator\" content=\"striate\">";

}  // namespace striate

// Self-contained pages: no script, nothing fetched, light and dark as the reader's system is.
#pragma once

#include <string>
#include <string_view>

namespace striate {

// `text` where HTML expects text or an attribute's value: & < > " ' escaped. Bytes that are no UTF-8 become U+FFFD.
std::string html_escape(std::string_view text);

// A whole page: `style` is CSS beside the page's own (colours as variables, fonts, tables), `body` is HTML.
std::string html_page(const std::string& title, const std::string& style, const std::string& body);

}  // namespace striate

#include "striate/report/html.h"

#include "striate/base/safe_output.h"

namespace striate {

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : output_text(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace striate

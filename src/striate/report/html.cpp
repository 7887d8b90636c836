#include "striate/report/html.h"

#include "striate/base/strings.h"

namespace striate {
namespace {

constexpr const char* kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --ink: #1d2127; --quiet: #5b6470; --line: #d9dde2; --panel: #ffffff;
  --low: #f3f6fa; --high: #0b4f8a; --on-low: #000000; --on-high: #ffffff; --mark: #c2410c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15181c; --ink: #e6e9ed; --quiet: #9aa4b0; --line: #323942; --panel: #1b1f24;
    --low: #1d232a; --high: #4f9adb; --on-low: #ffffff; --on-high: #000000; --mark: #fdba74;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 84rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .35rem; }
p { margin: .35rem 0; max-width: 62rem; }
.quiet { color: var(--quiet); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.25rem; margin: 1rem 0; }
dl.facts dt { color: var(--quiet); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
)css";

// The length of the well-formed UTF-8 sequence at the start of `text`, or 0.
std::size_t sequence_length(std::string_view text) {
  constexpr std::size_t kLongest = 4;
  for (std::size_t n = 1; n <= kLongest && n <= text.size(); ++n) {
    if (is_valid_utf8(text.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    switch (text.front()) {
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
        out += length == 0 ? std::string_view("\uFFFD") : text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string html_page(const std::string& title, const std::string& style, const std::string& body) {
  return cat("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>", html_escape(title),
             "</title>\n<style>", kStyle, style, "</style>\n</head>\n<body>\n<main>\n", body,
             "</main>\n</body>\n</html>\n");
}

}  // namespace striate

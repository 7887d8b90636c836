#include "striate/report/depth_strip.h"

#include <algorithm>

#include "striate/base/strings.h"
#include "striate/report/html.h"

namespace striate {

std::string depth_strip_html(const DepthStrip& strip) {
  std::string cells;
  for (std::int64_t layer = 0; layer < strip.layers; ++layer) {
    const bool marked = std::find(strip.marked.begin(), strip.marked.end(), layer) != strip.marked.end();
    cells += cat("<i", marked ? " class=\"in\"" : "", " title=\"layer ", layer, "\"></i>");
  }
  return cat("<div class=\"strip\"><b>", html_escape(strip.name), "</b><span class=\"cells\" aria-hidden=\"true\">",
             cells, "</span><span class=\"quiet\">", html_escape(strip.meaning), "</span></div>\n");
}

}  // namespace striate

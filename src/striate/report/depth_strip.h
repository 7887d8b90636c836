// A decoder's depth as a strip of cells, of which some are marked: where a region lies.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace striate {

struct DepthStrip {
  std::string name{};     // "region"
  std::string meaning{};  // of the marked cells: "layers 0,4 of 8, recorded by tuned"
  std::int64_t layers = 0;
  std::vector<std::int64_t> marked{};  // each in [0, layers)
};

// HTML for a page (report_page.h): one cell per layer, the lowest at the left, and the words beside it.
std::string depth_strip_html(const DepthStrip& strip);

}  // namespace striate

// A report: one self-contained HTML page of facts, warnings and sections.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace striate {

struct ReportPage {
  std::string title;
  std::string subtitle{};
  std::vector<std::pair<std::string, std::string>> facts{};  // name and value
  std::vector<std::string> warnings{};
  std::vector<std::string> sections{};  // HTML of depth_strip.h, heat_map.h and line_chart.h, in the order shown
  std::string style{};                  // CSS of its own, after that of every page
  std::string script{};                 // JavaScript that runs when all else is there; the page is whole without it
};

// The page. It fetches nothing; it is light or dark as the reader's system is, light on paper, fits 390 pixels, and
// prints whole tables. Its content security policy lets the browser load pictures out of the page alone and run no
// script but the given one, known by its SHA-256.
std::string report_page(const ReportPage& page);

}  // namespace striate

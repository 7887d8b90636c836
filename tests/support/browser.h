// What a browser makes of a page.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace striate::test {

// Whether there is a chromium; tests are skipped without.
bool has_browser();

// Shows the page in a frame of a page around it and runs `script`, JavaScript with `page` (its document), `frame` (the
// iframe, whose style.width may be set) and `out` (an object): `out` as it is afterwards; null, with a failure of the
// test, where the browser gave none.
nlohmann::json in_browser(const std::string& html, const std::string& script);

// For `in_browser`: out.wide390, out.wide1280 (how wide the page is there) and out.beyond390, out.beyond1280 (how many
// elements end beyond the right side, but for those that scroll by themselves).
extern const char* const kPageWidths;

// The page as it is printed: a PDF's bytes.
std::string printed(const std::string& html);

}  // namespace striate::test

#define STRIATE_REQUIRE_BROWSER() \
  if (!striate::test::has_browser()) GTEST_SKIP() << "there is no chromium: apt-get install chromium"

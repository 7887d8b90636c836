#include "striate/report/report_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "striate/report/depth_strip.h"

namespace striate {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(ReportPages, EverythingGivenIsEscapedAndSectionsFollowAsTheyAre) {
  const std::string html = report_page(
      {.title = "<t>", .subtitle = "s", .facts = {{"a", "<b>"}}, .warnings = {"w<"}, .sections = {"<section>x"}});
  EXPECT_THAT(html, HasSubstr("<title>&lt;t&gt;</title>"));
  EXPECT_THAT(html, HasSubstr("<dd>&lt;b&gt;</dd>"));
  EXPECT_THAT(html, HasSubstr("w&lt;"));
  EXPECT_THAT(html, HasSubstr("<section>x"));
}

TEST(ReportPages, ThePageNeedsNothingFromElsewhere) {
  const std::string html = report_page({.title = "t"});
  for (const char* part : {"<script", "<link", "@import", "url(", "http:", "https:", "src="}) {
    EXPECT_THAT(html, Not(HasSubstr(part)));
  }
}

TEST(ReportPages, TheBrowserIsToldToRunNoScriptButThePagesOwn) {
  EXPECT_THAT(report_page({.title = "t"}), HasSubstr("content=\"default-src 'none'; style-src 'unsafe-inline'; "
                                                     "img-src data:\""));
  // sha256 of "let a = 1;" in base64, as `openssl dgst -sha256 -binary | base64` prints it.
  const std::string html = report_page({.title = "t", .style = "b { top: 0 }", .script = "let a = 1;"});
  EXPECT_THAT(html, HasSubstr("img-src data:; script-src 'sha256-xY6QKfH9PRsQnLz56nj6MBwiK5oHg+im1Jkpdp1x/Ck='\""));
  EXPECT_THAT(html, HasSubstr("<script>let a = 1;</script>"));
  EXPECT_THAT(html, HasSubstr("b { top: 0 }</style>"));
}

TEST(ReportPages, ThePageHasStylesForTheDarkForNarrowScreensAndForPaper) {
  const std::string html = report_page({.title = "t"});
  EXPECT_THAT(html, HasSubstr("@media screen and (prefers-color-scheme: dark)"));
  EXPECT_THAT(html, HasSubstr("@media (max-width: 34rem)"));
  EXPECT_THAT(html, HasSubstr("@media print"));
  EXPECT_THAT(html, HasSubstr("name=\"viewport\""));
}

TEST(DepthStrips, EveryLayerIsACellAndTheRegionsAreMarked) {
  const std::string html = depth_strip_html({"region", "layers 0,2 of <3>", 3, {0, 2}});
  EXPECT_THAT(html, HasSubstr("<i class=\"in\" title=\"layer 0\"></i><i title=\"layer 1\"></i><i class=\"in\" "
                              "title=\"layer 2\"></i>"));
  EXPECT_THAT(html, HasSubstr("layers 0,2 of &lt;3&gt;"));
}

}  // namespace
}  // namespace striate

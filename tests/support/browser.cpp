#include "tests/support/browser.h"

#include <gtest/gtest.h>

#include "striate/base/files.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

std::vector<std::string> headless(const TemporaryFolder& folder) {
  return {"chromium",
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-dev-shm-usage",
          "--hide-scrollbars",
          "--window-size=1400,1000",
          cat("--user-data-dir=", (folder.path() / "profile").string()),
          "--virtual-time-budget=20000"};
}

}  // namespace

const char* const kPageWidths = R"js(
for (const width of [390, 1280]) {
  frame.style.width = width + "px";
  out["wide" + width] = page.documentElement.scrollWidth;
  out["beyond" + width] = [...page.querySelectorAll("body *")]
    .filter((one) => !one.closest(".scroll") || one.classList.contains("scroll"))
    .filter((one) => one.getBoundingClientRect().right > width + 0.5).length;
}
)js";

bool has_browser() {
  return run_command({"chromium", "--version"}).exit_code == 0;
}

nlohmann::json in_browser(const std::string& html, const std::string& script) {
  std::string inside = nlohmann::json(html).dump();
  for (std::size_t at = inside.find('<'); at != std::string::npos; at = inside.find('<', at)) {
    inside.replace(at, 1, "\\u003c");
  }
  const TemporaryFolder folder;
  write_file(
      folder.path() / "around.html",
      cat("<!doctype html><meta charset=\"utf-8\"><iframe style=\"border:0;height:900px\"></iframe><pre></pre><script>",
          "const frame = document.querySelector(\"iframe\"), out = {};\nframe.onload = () => {\n",
          "const page = frame.contentDocument;\n", script,
          "document.querySelector(\"pre\").textContent = \"RESULT\" + JSON.stringify(out) + \"END\";\n};\n",
          "frame.srcdoc = ", inside, ";</script>"));
  std::vector<std::string> arguments = headless(folder);
  arguments.emplace_back("--dump-dom");
  arguments.push_back(cat("file://", (folder.path() / "around.html").string()));
  const CommandResult result = run_command(arguments);
  const std::size_t begin = result.out.find("<pre>RESULT"), end = result.out.find("END</pre>");
  EXPECT_NE(begin, std::string::npos) << result.out.substr(0, 1000) << result.err;
  return begin == std::string::npos ? nlohmann::json()
                                    : nlohmann::json::parse(result.out.substr(begin + 11, end - begin - 11));
}

std::string printed(const std::string& html) {
  const TemporaryFolder folder;
  write_file(folder.path() / "page.html", html);
  std::vector<std::string> arguments = headless(folder);
  arguments.push_back(cat("--print-to-pdf=", (folder.path() / "page.pdf").string()));
  arguments.push_back(cat("file://", (folder.path() / "page.html").string()));
  const CommandResult result = run_command(arguments);
  EXPECT_TRUE(is_file(folder.path() / "page.pdf")) << result.err;
  return is_file(folder.path() / "page.pdf") ? read_file(folder.path() / "page.pdf") : "";
}

}  // namespace striate::test

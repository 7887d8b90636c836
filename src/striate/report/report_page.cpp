#include "striate/report/report_page.h"

#include "striate/base/base64.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/report/html.h"

namespace striate {
namespace {

// --v is a cell's place on the colour scale, 0 to 1. No text is smaller than 12 pixels on a screen.
constexpr const char* kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --ink: #1d2127; --quiet: #5b6470; --line: #d9dde2; --panel: #ffffff;
  --low: #f3f6fa; --high: #0b4f8a; --on-low: #000000; --on-high: #ffffff; --mark: #c2410c; --band: #fdeadf;
  --s0: #0b4f8a; --s1: #c2410c; --s2: #15803d; --s3: #7e22ce;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #15181c; --ink: #e6e9ed; --quiet: #9aa4b0; --line: #323942; --panel: #1b1f24;
    --low: #1d232a; --high: #4f9adb; --on-low: #ffffff; --on-high: #000000; --mark: #fdba74; --band: #3b2a1c;
    --s0: #6db3f2; --s1: #fdba74; --s2: #86efac; --s3: #d8b4fe;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 84rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .35rem; }
p { margin: .35rem 0; max-width: 62rem; }
.quiet { color: var(--quiet); }
dl.facts { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1.25rem; margin: 1rem 0; }
dl.facts dt { color: var(--quiet); }
dl.facts dd { margin: 0; overflow-wrap: anywhere; }
dl.meanings { max-width: 62rem; margin: .6rem 0; }
dl.meanings dt { font-weight: 600; } dl.meanings dd { margin: 0 0 .4rem; }
.warning { border-left: 4px solid var(--mark); padding: .3rem .8rem; background: var(--panel); }
.strip { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem .75rem; margin: .5rem 0; }
.strip .cells { display: flex; flex: 0 1 auto; gap: 2px; max-width: 100%; }
.strip i { flex: 1 1 16px; width: 16px; min-width: 4px; max-width: 16px; height: 18px; border: 1px solid var(--quiet);
  border-radius: 2px; }
.strip i.in { background: var(--mark); border-color: var(--mark); }
.scroll { overflow-x: auto; width: fit-content; max-width: 100%; margin: .8rem 0; border: 1px solid var(--line);
  border-radius: 6px; background: var(--panel); }
table { border-collapse: separate; border-spacing: 2px; font-variant-numeric: tabular-nums; }
th { font-weight: 600; padding: .3rem .5rem; text-align: right; white-space: nowrap; color: var(--quiet); }
thead th { white-space: normal; vertical-align: bottom; border-bottom: 1px solid var(--line); color: var(--ink); }
tbody th { position: sticky; left: 0; background: var(--panel); }
th.in { color: var(--mark); }
tbody th.in { box-shadow: inset 4px 0 var(--mark); }
thead th.in { box-shadow: inset 0 -4px var(--mark); }
tfoot td, tfoot th { color: var(--quiet); font-size: .8rem; text-align: right; padding: .3rem .5rem;
  white-space: nowrap; border-top: 1px solid var(--line); }
tfoot th { white-space: normal; }
td { padding: .22rem .5rem; }
td.c { min-width: 4.2rem; text-align: right; border-radius: 3px; white-space: nowrap;
  background: var(--low); background: color-mix(in oklab, var(--high) calc(var(--v) * 100%), var(--low));
  color: var(--on-low); }
td.c.d { color: var(--on-high); }
td.n { text-align: right; color: var(--quiet); }
td small { display: block; font-size: .8rem; }
td.end { outline: 2px solid var(--mark); outline-offset: -1px; font-weight: 700; }
td.end::before { font-size: .7em; }
td.top::before { content: "\25B2\00A0"; }
td.bottom::before { content: "\25BC\00A0"; }
table.dense { border-spacing: 1px; font-size: .8rem; }
table.dense td { min-width: 2.6rem; padding: .12rem .25rem; }
table.dense th { padding: .12rem .35rem; }
table.points th, table.points td { text-align: left; vertical-align: top; }
.scale { display: flex; flex-wrap: wrap; align-items: center; gap: .2rem .6rem; font-size: .85rem;
  color: var(--quiet); }
.scale i { width: 12rem; max-width: 40vw; height: .8rem; border-radius: 3px; border: 1px solid var(--line);
  background: linear-gradient(in oklab to right, var(--low), var(--high)); }
figure { margin: .8rem 0 0; max-width: 48rem; }
figure svg.wide, figure svg.narrow { width: 100%; height: auto; display: block; }
figure svg.narrow { display: none; }
figcaption { color: var(--quiet); font-size: .85rem; }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1.2rem; font-size: .9rem; }
.legend span { display: inline-flex; align-items: center; gap: .4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
table.plain { border-spacing: 0; }
table.plain th, table.plain td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
table.plain tbody tr:last-child th, table.plain tbody tr:last-child td { border-bottom: 0; }
table.plain tbody th { color: var(--ink); white-space: normal; overflow-wrap: anywhere; min-width: 8rem;
  max-width: 18rem; }
table.plain .number { text-align: right; white-space: nowrap; } table.plain thead .number { white-space: normal; }
table.plain td.none { color: var(--quiet); }
table.plain small { display: block; font-weight: 400; color: var(--quiet); font-size: .8rem; }
table.plain tr.sum th, table.plain tr.sum td { background: var(--low); }
details { margin: .3rem 0; max-width: 100%; } summary { cursor: pointer; }
article { display: flex; gap: 1rem; align-items: flex-start; background: var(--panel); border: 1px solid var(--line);
  border-radius: 6px; padding: .8rem 1rem; margin: .7rem 0; }
.pictures { flex: 0 0 auto; max-width: min(240px, 100%); display: flex; flex-wrap: wrap; gap: .4rem; }
.pictures img { min-width: 6rem; max-width: 100%; max-height: 240px; display: block; border-radius: 3px; }
.no-picture { font-size: .8rem; overflow-wrap: anywhere; }
.said { flex: 1 1 auto; min-width: 0; overflow-wrap: anywhere; }
.said p { margin: 0 0 .4rem; } .said p.id { font-size: .85rem; color: var(--quiet); }
.text { white-space: pre-wrap; } .asked { font-weight: 600; }
.said dl { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr; gap: .15rem .9rem; margin: 0; }
.said dt { color: var(--quiet); max-width: 12rem; } .said dd { margin: 0; min-width: 0; }
.verdict, .tag { display: inline-block; border: 1px solid currentColor; border-radius: 3px; padding: 0 .35rem;
  font-size: .8rem; white-space: nowrap; }
.verdict.right { color: var(--s2); } .verdict.wrong { color: var(--mark); } .verdict.partly { color: var(--s3); }
.tag { color: var(--quiet); margin-left: .25rem; white-space: normal; } .tag.better { color: var(--s2); } .tag.worse, .tag.changed { color: var(--mark); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg text { fill: var(--quiet); font-size: 13px; }
svg .band { fill: var(--band); stroke: var(--mark); stroke-width: .6; }
svg .line { fill: none; stroke-width: 2.25; stroke-linejoin: round; }
svg .under { stroke-width: 5; stroke-opacity: .5; }
svg .bar { fill: none; stroke-width: 1.3; }
svg .reference { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 3 3; }
svg .label { fill: var(--ink); }
svg text.number { fill: var(--text); font-weight: 700; }
svg .mark { stroke: var(--page); stroke-width: 1.2; }
@media (max-width: 34rem) {
  main { padding: 1.25rem .8rem 3rem; }
  dl.facts { grid-template-columns: 1fr; } dl.facts dd { margin-bottom: .4rem; }
  figure svg.wide { display: none; } figure svg.narrow { display: block; }
}
@media (max-width: 40rem) {
  article { flex-direction: column; gap: .6rem; padding: .7rem .8rem; }
  .said { width: 100%; }
  .said dl { grid-template-columns: 1fr; gap: 0; } .said dd { margin-bottom: .35rem; }
}
@page { size: A4 landscape; margin: 12mm; }
@media print {
  :root { color-scheme: light; }
  body { font-size: 10pt; background: none; } main { max-width: none; padding: 0; }
  h2, h2 + p { break-after: avoid; } figure, tr, .strip { break-inside: avoid; }
  figure { max-width: 22cm; } figure svg.wide { display: block; } figure svg.narrow { display: none; }
  .scroll { overflow: visible; border: 0; } tbody th { position: static; } thead { display: table-header-group; }
  tfoot { display: table-row-group; }
  table { font-size: 8pt; } th, td, td.c { padding: 1pt 3pt; min-width: 0; } td.c { min-width: 0; }
  table.dense { font-size: 6.5pt; } table.dense td, table.dense th { min-width: 0; padding: .5pt 1pt; }
  table.plain small { font-size: 7pt; } article { font-size: 8.5pt; }
  article { break-inside: avoid; padding: 4pt 6pt; margin: 4pt 0; }
  .pictures { max-width: 120px; } .pictures img { max-height: 120px; }
  table.plain th, table.plain td { padding: 1pt 4pt; }
  details.folded > summary { list-style: none; color: var(--quiet); }
  details.folded::details-content { content-visibility: visible; block-size: auto; }
  td.c, .strip i, .scale i, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)css";

std::string security_policy(const ReportPage& page) {
  std::string script;
  if (!page.script.empty()) {
    const std::string digits = sha256_of(page.script);
    std::string digest;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      digest += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
    }
    script = cat("; script-src 'sha256-", base64_of(digest), "'");
  }
  return cat("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; ",
             "img-src data:", script, "\">");
}

}  // namespace

std::string report_page(const ReportPage& page) {
  const std::string script = page.script.empty() ? "" : cat("<script>", page.script, "</script>\n");
  std::string body = cat("<h1>", html_escape(page.title), "</h1>\n");
  if (!page.subtitle.empty()) body += cat("<p class=\"quiet\">", html_escape(page.subtitle), "</p>\n");
  if (!page.facts.empty()) {
    body += "<dl class=\"facts\">";
    for (const auto& [name, value] : page.facts) {
      body += cat("<dt>", html_escape(name), "</dt><dd>", html_escape(value), "</dd>\n");
    }
    body += "</dl>\n";
  }
  for (const std::string& warning : page.warnings) body += cat("<p class=\"warning\">", html_escape(warning), "</p>\n");
  for (const std::string& section : page.sections) body += section;
  return cat("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n", kHtmlMark, "\n",
             security_policy(page), "\n",
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
             html_escape(page.title), "</title>\n<style>", kStyle, page.style, "</style>\n</head>\n<body>\n<main>\n",
             body, "</main>\n", script, "</body>\n</html>\n");
}

}  // namespace striate

// What a run's page adds to the look of every page, and the script of its filters.
#include "striate/answers/page_parts.h"

namespace striate {

const char* const kPageStyle = R"css(
[hidden] { display: none !important; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
table.plain { border-spacing: 0; }
table.plain th, table.plain td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
table.plain tbody tr:last-child th, table.plain tbody tr:last-child td { border-bottom: 0; }
table.plain tbody th { color: var(--ink); white-space: normal; overflow-wrap: anywhere; min-width: 6rem;
  max-width: 18rem; }
table.plain .number { text-align: right; white-space: nowrap; }
table.plain td.none { color: var(--quiet); }
table.plain small { display: block; font-weight: 400; color: var(--quiet); font-size: .8rem; }
table.plain tr.sum th, table.plain tr.sum td { background: var(--low); }
th.drawn { white-space: nowrap; font-weight: 400; font-size: .8rem; }
th.drawn span:first-child { float: left; } th.drawn span:last-child { float: right; }
svg.interval { display: block; width: 200px; height: 22px; }
svg.interval .zero { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 2; }
details { margin: .3rem 0; max-width: 100%; } summary { cursor: pointer; }
.filters { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: .8rem 0; }
.filters label { display: inline-flex; gap: .4rem; align-items: center; max-width: 100%; }
.filters select { font: inherit; max-width: 15rem; min-width: 0; padding: .15rem .3rem; }
.filters output { color: var(--quiet); }
article { display: flex; gap: 1rem; align-items: flex-start; background: var(--panel); border: 1px solid var(--line);
  border-radius: 6px; padding: .8rem 1rem; margin: .7rem 0; }
.pictures { flex: 0 0 auto; max-width: min(240px, 100%); display: flex; flex-wrap: wrap; gap: .4rem; }
.pictures img { min-width: 6rem; max-width: 100%; max-height: 240px; display: block; border-radius: 3px; }
.no-picture { font-size: .8rem; overflow-wrap: anywhere; }
.said { flex: 1 1 auto; min-width: 0; overflow-wrap: anywhere; }
.said p { margin: 0 0 .4rem; } .said p.id { font-size: .85rem; color: var(--quiet); }
.text { white-space: pre-wrap; } .asked { font-weight: 600; }
ul.options { list-style: none; margin: 0 0 .4rem; padding: 0; } ul.options li.right { font-weight: 600; }
ul.options li.right::after { content: "  (right)"; color: var(--quiet); font-weight: 400; white-space: pre; }
.said dl { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr; gap: .15rem .9rem; margin: 0; }
.said dt { color: var(--quiet); max-width: 12rem; } .said dd { margin: 0; min-width: 0; }
.verdict, .tag { display: inline-block; border: 1px solid currentColor; border-radius: 3px; padding: 0 .35rem;
  font-size: .8rem; white-space: nowrap; }
.verdict.right { color: var(--s2); } .verdict.wrong { color: var(--mark); } .verdict.partly { color: var(--s3); }
.tag { color: var(--quiet); margin-left: .25rem; white-space: normal; } .tag.better { color: var(--s2); } .tag.worse, .tag.changed { color: var(--mark); }
.by { display: inline-block; margin-right: .8rem; }
@media (max-width: 40rem) {
  article { flex-direction: column; gap: .6rem; padding: .7rem .8rem; }
  .said { width: 100%; }
  .said dl { grid-template-columns: 1fr; gap: 0; } .said dd { margin-bottom: .35rem; }
}
@media print {
  .filters { display: none; }
  table.plain small, th.drawn { font-size: 7pt; } article { font-size: 8.5pt; }
  article { break-inside: avoid; padding: 4pt 6pt; margin: 4pt 0; }
  .pictures { max-width: 120px; } .pictures img { max-height: 120px; }
  details:not([open]) { display: none; }
  table.plain th, table.plain td { padding: 1pt 4pt; }
  svg.interval { width: 120px; height: 14px; }
}
)css";

const char* const kPageScript = R"js(
for (const part of document.querySelectorAll("section.questions")) {
  const cards = [...part.querySelectorAll("article")];
  const filters = part.querySelector(".filters");
  const selects = [...filters.querySelectorAll("select")];
  const show = () => {
    let shown = 0;
    for (const card of cards) {
      const marks = card.dataset.marks.split(" ");
      card.hidden = !selects.every((select) => select.value === "" || marks.includes(select.value));
      shown += card.hidden ? 0 : 1;
    }
    filters.querySelector("output").textContent = shown + " of " + cards.length + " shown";
  };
  for (const select of selects) select.addEventListener("change", show);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.hidden = false;
  show();
}
)js";

}  // namespace striate

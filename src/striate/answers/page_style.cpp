// What a run's page adds to the look of every page, and the script of its filters.
#include "striate/answers/page_parts.h"

namespace striate {

const char* const kPageStyle = R"css(
[hidden] { display: none !important; }
th.drawn { white-space: nowrap; font-weight: 400; font-size: .8rem; }
th.drawn span:first-child { float: left; } th.drawn span:last-child { float: right; }
svg.interval { display: block; width: 200px; height: 22px; }
svg.interval .zero { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 2 2; }
.filters { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; margin: .8rem 0; }
.filters label { display: inline-flex; gap: .4rem; align-items: center; max-width: 100%; }
.filters select { font: inherit; max-width: 15rem; min-width: 0; padding: .15rem .3rem; }
.filters output { color: var(--quiet); }
ul.options { list-style: none; margin: 0 0 .4rem; padding: 0; } ul.options li.right { font-weight: 600; }
ul.options li.right::after { content: "  (right)"; color: var(--quiet); font-weight: 400; white-space: pre; }
.by { display: inline-block; margin-right: .8rem; }
@media print {
  .filters { display: none; }
  th.drawn { font-size: 7pt; }
  details:not(.folded):not([open]) { display: none; }
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

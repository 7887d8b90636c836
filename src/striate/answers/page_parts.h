// The pieces of a run's page. Included by its sources.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "striate/answers/run_page.h"

namespace striate {

// Scores with their intervals, differences, what the pictures are worth, and scores by kind: HTML.
std::string page_scores_html(const PagePart& part);
// Shares kept of the first run, where the parts are comparisons with two columns or more; else "".
std::string page_retention_html(const RunPage& page);

// Which questions a page shows of each part: indices into the items of its first column.
std::vector<std::vector<std::size_t>> page_choice(const RunPage& page);
// The chosen questions of a part, with filters that work where scripts do, and at most `picture_bytes` of pictures.
struct PageQuestions {
  std::string html;
  std::int64_t pictures_left_out = 0;
  std::uint64_t picture_bytes = 0;  // taken by those shown
};
PageQuestions page_questions_html(const PagePart& part, const std::vector<std::size_t>& chosen,
                                  std::uint64_t picture_bytes);

extern const char* const kPageStyle;
extern const char* const kPageScript;

// In which of the colours of report_page.h (0 to 3) a column is drawn.
std::string page_colour(std::size_t column);

}  // namespace striate

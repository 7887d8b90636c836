#include "striate/answers/run_page.h"

#include <algorithm>

#include "striate/answers/page_parts.h"
#include "striate/base/strings.h"
#include "striate/report/report_page.h"

namespace striate {

std::string interval_words(const Resampling& resampling) {
  if (resampling.draws == 0) return "none were computed";
  return cat("the middle 95% of ", resampling.draws, " draws of the questions, seed ", resampling.seed);
}

std::string page_colour(std::size_t column) {
  return cat("var(--s", column % 4, ")");
}

PagePart page_part(const ScoreResult& result) {
  PagePart part{.benchmark = result.benchmark, .notes = result.set->notes};
  for (const ProtocolScore& score : result.scores) part.columns.push_back({score.protocol->name, &score});
  return part;
}

PagePart page_part(const PartComparison& comparison, const std::vector<std::string>& runs) {
  PagePart part{.benchmark = comparison.benchmark, .comparison = &comparison, .notes = comparison.set->notes};
  for (std::size_t i = 0; i < comparison.runs.size(); ++i) part.columns.push_back({runs.at(i), &comparison.runs[i]});
  return part;
}

std::string run_page(const RunPage& page) {
  ReportPage report{.title = page.title, .facts = page.facts, .style = kPageStyle, .script = kPageScript};
  report.facts.emplace_back("intervals", interval_words(page.resampling));
  const std::vector<std::vector<std::size_t>> chosen = page_choice(page);
  std::vector<PageQuestions> questions;
  std::uint64_t left = page.picture_bytes;
  std::int64_t left_out = 0;
  for (std::size_t i = 0; i < page.parts.size(); ++i) {
    questions.push_back(page_questions_html(page.parts[i], chosen[i], left));
    left -= questions.back().picture_bytes;
    left_out += questions.back().pictures_left_out;
  }
  if (left_out > 0) {
    report.warnings.push_back(cat(left_out, left_out == 1 ? " picture is" : " pictures are",
                                  " left out: not found, not readable, or beyond ", human_bytes(page.picture_bytes),
                                  " of pictures"));
  }
  if (!page.parts.empty()) report.sections.push_back(page_retention_html(page));
  for (std::size_t i = 0; i < page.parts.size(); ++i) {
    report.sections.push_back(page_scores_html(page.parts[i]));
    report.sections.push_back(questions[i].html);
  }
  return report_page(report);
}

}  // namespace striate

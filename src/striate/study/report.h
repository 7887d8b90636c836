// A study's report: one page that needs nothing else, its results as JSON, and every table as CSV and as LaTeX.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "striate/answers/bootstrap.h"
#include "striate/study/results.h"

namespace striate::study {

struct ReportFiles {
  std::filesystem::path report;               // report.html
  std::filesystem::path results;              // results.json
  std::vector<std::filesystem::path> tables;  // tables/NAME.csv and tables/NAME.tex
  std::string summary;  // what the numbers say, one sentence for each setting; in summary.txt, too
};

// Writes them into `folder`, the study's own: each file appears whole or not at all, and what was there before is
// replaced; tables of an earlier report that the study no longer has are removed (tables/index.json lists them).
// Pictures of questions whose paths are relative are looked for in `folder`. Throws InternalError where the results do
// not fit together (fault_of), and what files throw.
ReportFiles write_report(const StudyResults& results, const std::filesystem::path& folder,
                         const Resampling& resampling = {});

// The page alone. A picture that is absent, no picture or too large is left out.
std::string report_html(const StudyResults& results, const std::filesystem::path& folder,
                        const Resampling& resampling = {});

// What the numbers say, one sentence for each setting.
std::string study_summary(const StudyResults& results, const Resampling& resampling = {});

}  // namespace striate::study

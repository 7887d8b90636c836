// The sections of a study's page. Included by its sources.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "striate/report/line_chart.h"
#include "striate/study/study_tables.h"

namespace striate::study {

// HTML of each; "" where nothing was measured for it.
std::string claims_html(const std::vector<Claim>& claims);
std::string regions_html(const StudyView& view);
std::string strategies_html(const StudyView& view);  // dots, tables, the paper's beside them
std::string plane_html(const StudyView& view);       // visual gain against forgetting
std::string sizes_html(const StudyView& view);
std::string data_html(const StudyView& view);
std::string grid_html(const StudyView& view);  // offsets and modules
std::string reversion_html(const StudyView& view);
std::string pruning_html(const StudyView& view);
std::string healing_html(const StudyView& view);
std::string layer_scores_html(const StudyView& view);
std::string training_html(const StudyView& view);  // loss curves, learning rates, held-out losses
std::string cost_html(const StudyView& view);

// Lines that are compared with each other.
using LineGroup = std::vector<LineSeries>;

// Charts of at most four lines each, which is as many as a chart tells apart, with the same vertical axis; a group is
// not divided where it need not be. "" without lines.
std::string charts_of(const LineChart& chart, const std::vector<LineGroup>& groups);

// Questions that models answer differently, with their pictures.
struct ExampleLimits {
  std::size_t questions = 24;
  std::size_t models = 8;
  std::uint64_t picture_bytes = 64'000;      // of one
  std::uint64_t pictures_bytes = 1'500'000;  // of all
};
std::string examples_html(const StudyView& view, const std::filesystem::path& folder, const ExampleLimits& limits = {});

// What the page adds to the look of every page.
extern const char* const kStudyStyle;

inline constexpr const char* kBars =
    "Bars are 95% intervals over questions and seeds; where there is one seed, over questions alone.";

}  // namespace striate::study

// The sections of a study's page. Included by its sources.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

// Questions that models answer differently, with their pictures.
struct ExampleLimits {
  std::size_t questions = 24;
  std::size_t models = 6;
  std::uint64_t picture_bytes = 64'000;      // of one
  std::uint64_t pictures_bytes = 1'500'000;  // of all
};
std::string examples_html(const StudyView& view, const std::filesystem::path& folder, const ExampleLimits& limits = {});

// What the page adds to the look of every page.
extern const char* const kStudyStyle;

}  // namespace striate::study

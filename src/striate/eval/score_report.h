// An HTML page of a score file.
#pragma once

#include <string>
#include <vector>

#include "striate/region/score_file.h"

namespace striate {

// What a metric is and what high or low values of it mean, in plain sentences; "" for one this program does not know.
std::string metric_meaning(const std::string& metric);

// The metrics of a file in the order people read them: Block Influence, angular, attention, change; then the others.
std::vector<std::string> metrics_in_order(const ScoreFile& scores);

// What is wrong with what was measured: tokens that had to be left out.
std::vector<std::string> score_warnings(const ScoreFile& scores);
// Which scores are over fewer samples than the others, and how many.
std::vector<std::string> score_notes(const ScoreFile& scores);

// The HTML page: the region that the settings name, charts of the scores over depth, then tables: layers by metrics,
// angular distance by block length, attention by head, change by linear. The region's layers are marked throughout.
std::string score_report(const ScoreFile& scores);

}  // namespace striate

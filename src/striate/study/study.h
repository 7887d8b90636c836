// A study that is open: its definition, its cells, its folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "striate/model/load.h"
#include "striate/study/cells.h"
#include "striate/study/study_folder.h"

namespace striate::study {

struct Study {
  StudyDefinition definition;
  std::vector<std::int64_t> layers;  // of each of its models
  std::vector<Cell> cells;
  StudyFolder folder;

  // A path of the definition, or of a cell's settings, as a path of this machine; empty stays empty.
  std::filesystem::path path(const std::string& written) const;
  // Where cells keep and find features of pictures; empty: nowhere.
  std::filesystem::path feature_cache() const;
  // A model of the definition as it is before anything is done. Throws InvalidInput for files that are not there.
  ModelPaths start(std::size_t model) const;
  // The model that a cell goes on from, or measures: its own folder is not part of it.
  ModelPaths origin(const Cell& cell) const;
  // The model that a cell has made.
  ModelPaths result(std::size_t cell) const;
  // "3" (from 1) or an id. Throws InvalidInput where there is no such cell.
  std::size_t find(const std::string& number_or_id) const;
};

// Reads configurations of the models, no weights. Throws what read_definition(), plan_cells() and opening models throw.
Study open_study(const std::filesystem::path& definition, const std::filesystem::path& out);
// The same of a folder that was begun.
Study open_study(const std::filesystem::path& out);

}  // namespace striate::study

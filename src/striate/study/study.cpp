#include "striate/study/study.h"

#include <algorithm>
#include <charconv>

#include "striate/base/error.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/model/open_configuration.h"

namespace striate::study {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> existing_model_path(const Study& study, const std::string& model, const std::string& written) {
  if (written.empty()) return std::nullopt;
  fs::path path = study.path(written);
  if (path_exists(path)) return path;
  throw invalid_input(
      cat(study.definition.file.string(), ": model ", model, ": ", path.string(), ": no such file or folder"),
      "paths are relative to the folder of the definition");
}

ModelPaths whole_model(fs::path folder) {
  ModelPaths paths;
  paths.model = std::move(folder);
  return paths;
}

Study opened(StudyDefinition definition, fs::path out) {
  Study study{std::move(definition), {}, {}, StudyFolder(std::move(out))};
  for (std::size_t model = 0; model < study.definition.models.size(); ++model) {
    study.layers.push_back(open_configuration(study.start(model)).config.decoder.layers);
  }
  study.cells = plan_cells(study.definition, study.layers);
  return study;
}

}  // namespace

fs::path Study::path(const std::string& written) const {
  if (written.empty()) return {};
  const std::size_t end = written.find('}');
  if (written.starts_with('{') && end != std::string::npos) {
    const std::string name = written.substr(1, end - 1);
    for (const Cell& cell : cells) {
      const bool meant = cell.kind == CellKind::kWorld && (cell.id == name || definition.data[cell.data].name == name);
      if (meant) return folder.cell(cell) / written.substr(std::min(end + 2, written.size()));
    }
  }
  return definition.folder / written;
}

fs::path Study::feature_cache() const {
  return definition.cache_features ? folder.features() : fs::path();
}

ModelPaths Study::start(std::size_t model) const {
  const ModelDefinition& asked = definition.models[model];
  ModelPaths paths;
  paths.model = existing_model_path(*this, asked.name, asked.path);
  paths.llm = existing_model_path(*this, asked.name, asked.llm);
  paths.vision_tower = existing_model_path(*this, asked.name, asked.vision_tower);
  paths.projector = existing_model_path(*this, asked.name, asked.projector);
  return paths;
}

ModelPaths Study::result(std::size_t index) const {
  const Cell& cell = cells[index];
  ModelPaths paths = origin(cell);
  switch (cell.kind) {
    case CellKind::kAlign:
      paths.projector = folder.cell(cell);
      return paths;
    case CellKind::kCut:
      return whole_model(folder.cell(cell));
    case CellKind::kTune:
    case CellKind::kRevert:
    case CellKind::kHeal:
      if (is_file(folder.cell(cell) / "config.json")) return whole_model(folder.cell(cell));
      paths.adapter = folder.cell(cell);
      return paths;
    default:
      throw internal_error(cat("a cell that makes no model: ", cell.id));
  }
}

ModelPaths Study::origin(const Cell& cell) const {
  if (cell.subject) return result(*cell.subject);
  ModelPaths paths = start(cell.model);
  if (cell.align) paths.projector = folder.cell(cells[*cell.align]);
  return paths;
}

std::size_t Study::find(const std::string& text) const {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    if (number >= 1 && number <= cells.size()) return number - 1;
    throw invalid_input(cat("cell ", text, ": the study has cells 1 to ", cells.size()), "see striate study plan");
  }
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].id == text) return i;
  }
  throw invalid_input(cat("cell ", text, ": the study has no such cell"), "see striate study plan");
}

Study open_study(const fs::path& definition, const fs::path& out) {
  return opened(read_definition(definition), out);
}

Study open_study(const fs::path& out) {
  return opened(StudyFolder(out).definition(), out);
}

}  // namespace striate::study

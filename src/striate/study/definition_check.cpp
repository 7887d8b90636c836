#include "striate/study/definition_check.h"

#include <algorithm>
#include <set>

#include "striate/base/error.h"
#include "striate/base/strings.h"

namespace striate::study {
namespace {

template <typename Item>
std::vector<std::string> names_of(const std::vector<Item>& items) {
  std::vector<std::string> names;
  for (const Item& item : items) names.push_back(item.name);
  return names;
}

class DefinitionCheck {
 public:
  explicit DefinitionCheck(const StudyDefinition& study) : study_(study), file_(study.file.string()) {}

  void run() const {
    unique("model", names_of(study_.models));
    unique("data", names_of(study_.data));
    unique("loss", names_of(study_.losses));
    unique("benchmark", names_of(study_.benchmarks));
    require(!study_.models.empty(), "names no model", "add a table [[model]] with name and path");
    require(!study_.data.empty(), "names no data", "add a table [[data]] with name and train");
    require(!study_.grids.empty(), "has no grid", "add a table [[grid]] with the axes of the study");
    require(!study_.benchmarks.empty() || !study_.losses.empty(), "measures nothing",
            "add a table [[benchmark]] or [[loss]]");
    for (const Grid& grid : study_.grids) check(grid);
    for (const Selection* of : selections()) known_names(cat(file_), of->models, of->data);
    if (study_.align) {
      for (const DataDefinition& data : study_.data) {
        require(!data.align.empty(), cat("[align] needs samples, and data ", data.name, " has none"),
                "add align = \"...\" to that [[data]], or leave out [align]");
      }
    }
    if (study_.choice) check(*study_.choice);
  }

 private:
  void require(bool holds, const std::string& what, const std::string& hint) const {
    if (!holds) throw invalid_input(cat(file_, ": ", what), hint);
  }
  void unique(const std::string& what, const std::vector<std::string>& names) const {
    std::set<std::string> seen;
    for (const std::string& name : names) {
      require(seen.insert(name).second, cat("two [[", what, "]] are called \"", name, "\""), "rename one of them");
    }
  }
  void known_names(const std::string& where, const std::vector<std::string>& models,
                   const std::vector<std::string>& data) const {
    one_of(where, "model", models, names_of(study_.models));
    one_of(where, "data", data, names_of(study_.data));
  }
  static void one_of(const std::string& where, const std::string& what, const std::vector<std::string>& names,
                     const std::vector<std::string>& known) {
    for (const std::string& name : names) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      const std::string nearest = nearest_name(name, known);
      throw invalid_input(cat(where, ": there is no ", what, " \"", name, "\""),
                          nearest.empty() ? cat("known: ", join(known, ", ")) : cat("did you mean \"", nearest, "\"?"));
    }
  }
  void check(const Grid& grid) const {
    const std::string where = cat(file_, ":", grid.line);
    known_names(where, grid.models, grid.data);
    const bool parts = std::ranges::any_of(grid.modules, [](const std::string& modules) { return modules != "all"; });
    if (parts && study_.full) {
      throw invalid_input(cat(where, ": modules do not apply: tune = \"full\" trains every weight of a layer"),
                          "leave out modules, or tune adapters");
    }
    if (!study_.choice) return;
    if (std::find(grid.seeds.begin(), grid.seeds.end(), study_.choice->seed) == grid.seeds.end()) return;
    throw invalid_input(cat(where, ": seed ", study_.choice->seed, " chooses the learning rates"),
                        "report other seeds: leave this one out of the grid, or choose on another");
  }
  void check(const RateChoice& choice) const {
    bool judged = false;
    for (const BenchmarkDefinition& b : study_.benchmarks) judged |= b.validation && b.sense == Sense::kVisual;
    for (const LossDefinition& l : study_.losses) judged |= choice.by_loss && l.sense == Sense::kVisual;
    require(judged || choice.by_loss, "learning rates are chosen, and no visual benchmark is for validation",
            "add validation = true to a [[benchmark]] of questions that no other one asks");
    require(judged, "learning rates are chosen by a visual loss, and there is none", "add a table [[loss]]");
  }
  std::vector<const Selection*> selections() const {
    std::vector<const Selection*> all;
    if (study_.score) all.push_back(&study_.score->of);
    if (study_.revert) all.push_back(&study_.revert->of);
    if (study_.prune) all.push_back(&study_.prune->of);
    if (study_.heal) all.push_back(&study_.heal->of);
    return all;
  }

  const StudyDefinition& study_;
  std::string file_;
};

}  // namespace

void check_definition(const StudyDefinition& study) {
  DefinitionCheck(study).run();
}

}  // namespace striate::study

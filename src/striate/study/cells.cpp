#include "striate/study/cells.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/study/cell_planner.h"

namespace striate::study {

std::string name(CellKind kind) {
  switch (kind) {
    case CellKind::kWorld:
      return "world";
    case CellKind::kAlign:
      return "align";
    case CellKind::kScore:
      return "score";
    case CellKind::kTune:
      return "tune";
    case CellKind::kAsk:
      return "ask";
    case CellKind::kLoss:
      return "loss";
    case CellKind::kChoose:
      return "choose";
    case CellKind::kRevert:
      return "revert";
    case CellKind::kPrune:
      return "prune";
    case CellKind::kCut:
      return "cut";
    case CellKind::kHeal:
      return "heal";
  }
  throw internal_error("a cell of no kind");
}

std::string layer_text(const Tuning& tuning, const std::string& size, const std::string& scores) {
  const std::string& rule = tuning.strategy;
  const std::size_t colon = rule.find(':');
  if (colon != std::string::npos && scores.empty()) return cat(rule, ":", size);
  if (colon != std::string::npos) return cat(rule.substr(0, colon), ":", scores, rule.substr(colon), ":", size);
  if (size.empty()) return rule;
  if (rule == "random") return cat(rule, ":", size, ":", tuning.draw);
  if (rule == "uniform" && tuning.offset > 0) return cat(rule, ":", size, "@", tuning.offset);
  return cat(rule, ":", size);
}

std::vector<Cell> plan_cells(const StudyDefinition& study, const std::vector<std::int64_t>& layers) {
  return CellPlanner(study, layers).plan();
}

}  // namespace striate::study

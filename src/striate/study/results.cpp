#include "striate/study/results.h"

#include "striate/base/error.h"

namespace striate::study {

std::string name(Sense sense) {
  return sense == Sense::kVisual ? "visual" : "text";
}

std::string name(Removal::Where where) {
  switch (where) {
    case Removal::Where::kOutside:
      return "outside";
    case Removal::Where::kInside:
      return "inside";
    case Removal::Where::kAnywhere:
      return "anywhere";
  }
  throw internal_error("a removal from nowhere");
}

std::string name(Treatment treatment) {
  switch (treatment) {
    case Treatment::kBase:
      return "base";
    case Treatment::kAligned:
      return "aligned";
    case Treatment::kTuned:
      return "tuned";
    case Treatment::kReverted:
      return "reverted";
    case Treatment::kPruned:
      return "pruned";
    case Treatment::kHealed:
      return "healed";
  }
  throw internal_error("a treatment without a name");
}

}  // namespace striate::study

#include "striate/data/bad_sample.h"

namespace striate {

std::string bad_reason_name(BadReason reason) {
  switch (reason) {
    case BadReason::kBrokenRecord:
      return "broken record";
    case BadReason::kUnknownRole:
      return "unknown role";
    case BadReason::kImageMarks:
      return "image marks";
    case BadReason::kImagePath:
      return "image path";
    case BadReason::kMissingImage:
      return "missing image";
    case BadReason::kBrokenImage:
      return "broken image";
    case BadReason::kNoVision:
      return "no vision tower";
    case BadReason::kUnknownToken:
      return "unknown token";
    case BadReason::kNoTargets:
      return "no targets";
    case BadReason::kTooLong:
      return "too long";
  }
  throw internal_error("a reason without a name");
}

}  // namespace striate

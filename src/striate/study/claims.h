// The paper's claims, each judged by a rule that is stated next to it.
#pragma once

#include <string>
#include <vector>

#include "striate/study/groups.h"
#include "striate/study/statistics.h"

namespace striate::study {

enum class Verdict { kHolds, kDoesNotHold, kNotDistinguishable, kNotMeasured };

// "holds", "does not hold", "not distinguishable at this size", "not measured".
std::string name(Verdict verdict);

struct Claim {
  std::string letter;                       // "a" to "g"
  std::string text;                         // what is claimed, of these models: a sentence without its full stop
  Verdict verdict = Verdict::kNotMeasured;  //
  Estimate estimate{};                      // of `quantity`
  std::string quantity{};                   // "visual mean, share of that of all layers"
  std::string unit{};                       // "%" or "points" or "nats"
  double threshold = 0;                     // what the estimate is held against
  std::string rule{};                       // by which the verdict follows, in a sentence
  std::string missing{};                    // where it was not measured: what is not there
  std::string paper{};                      // what the paper reports (via a note); empty: nothing at hand
};

// "At least": holds where the whole interval is at the threshold or above, does not where all of it is below. "More
// than": above, or below. Without an interval (one seed of what is measured once for each seed, or one question)
// nothing can be told.
Verdict at_least(const Estimate& estimate, double threshold);
Verdict more_than(const Estimate& estimate, double threshold);

// Every claim, in the paper's order, for one setting. What was not measured is there and says so.
std::vector<Claim> claims_of(const Statistics& statistics, const StudyGroups& groups);

// "97.9% (96.5 to 99.3)", "+1.20 points (-0.31 to 2.70)", "12.0% (one seed)", "-" where nothing was measured.
std::string estimate_text(const Estimate& estimate, const std::string& unit, bool with_sign);

// What a setting's results say, in one sentence that is true of them whatever they are; a plain statement of what is
// missing where the spread region or all layers were not tuned.
std::string summary_sentence(const StudyResults& results, const Statistics& statistics, const StudyGroups& groups);

}  // namespace striate::study

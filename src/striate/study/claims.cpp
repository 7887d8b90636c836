#include "striate/study/claims.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/report/numbers.h"
#include "striate/study/study_tables.h"

namespace striate::study {
namespace {

constexpr double kKept = 99;  // percent of all's visual mean
constexpr const char* kAtLeast = "holds where the whole interval is at or above 99%, does not where all of it is below";
constexpr const char* kAboveZero = "holds where the whole interval is above 0, does not where all of it is below";

// The claims of one setting, one after another.
class ClaimList {
 public:
  ClaimList(const Statistics& statistics, const StudyGroups& groups)
      : statistics_(statistics),
        groups_(groups),
        quarter_(groups.spread(groups.quarter())),
        all_(groups.all()),
        region_(cat("tuning ", groups.quarter(), " of ", groups.setting().layers, " layers, evenly spread,")) {}

  std::vector<Claim> made() {
    keeps("a", cat(region_, " keeps at least 99% of the visual mean of tuning all"), 1, "99.4% (61.82 of 62.18)");
    beats_other_strategies();
    keeps_text();
    saves_time();
    few_fall_off(1, "+4.64 points (61.78 against 57.14)");
    few_fall_off(2, "+1.78 points (61.78 against 60.00)");
    for (const double share : {1.0, 0.25, 0.1}) {
      keeps("f", cat("with ", 100 * share, "% of the data, ", region_, " keeps at least 99% of the visual mean of all"),
            share, share == 1 ? "99.4% (61.82 of 62.18)" : "");
    }
    removing_costs_less();
    return std::move(claims_);
  }

 private:
  std::string spread_missing() const { return quarter_ ? "" : "the evenly spread quarter was not tuned"; }
  std::string all_missing() const { return all_ ? "" : "tuning all layers was not measured"; }

  Claim& add(const char* letter, std::string text, const char* quantity, const char* unit, const char* rule) {
    claims_.push_back({.letter = letter, .text = std::move(text), .quantity = quantity, .unit = unit, .rule = rule});
    return claims_.back();
  }

  // The verdict, or what keeps it from being given.
  void judge(Claim& claim, const Estimate& estimate, const std::string& missing) {
    claim.estimate = estimate;
    claim.verdict = claim.threshold == 0 ? more_than(estimate, 0) : at_least(estimate, claim.threshold);
    if (claim.verdict == Verdict::kNotMeasured)
      claim.missing = missing.empty() ? "no benchmark was asked of both with the same seed" : missing;
  }

  void keeps(const char* letter, std::string text, double share, const char* paper) {
    Claim& claim = add(letter, std::move(text), "visual mean, share of that of all layers", "%", kAtLeast);
    claim.threshold = kKept;
    claim.paper = paper;
    const auto spread = groups_.spread(groups_.quarter(), share), all = groups_.all(share);
    const Estimate kept = spread && all ? statistics_.ratio(*spread, *all, Sense::kVisual) : Estimate{};
    const std::string data = share == 1 ? "" : " with so much data";
    const std::string missing = !spread               ? cat("the evenly spread quarter was not tuned", data)
                                : !all                ? cat("all layers were not tuned", data)
                                : kept.benchmarks > 0 ? "there is no share of the visual mean of all layers: it is 0"
                                                      : "";
    judge(claim, kept, missing);
  }

  void beats(const std::string& strategy, const std::string& words, const char* paper) {
    Claim& claim = add("b", cat(region_, " is better than tuning as many layers ", words),
                       "difference of the visual means", "points", kAboveZero);
    claim.paper = paper;
    const auto other = groups_.tuned({.strategy = strategy, .layers = groups_.quarter()});
    const std::string missing = other ? spread_missing() : cat(strategy, " was not tuned");
    judge(claim, quarter_ && other ? statistics_.difference(*quarter_, *other, Sense::kVisual) : Estimate{}, missing);
  }

  void beats_other_strategies() {
    beats("bottom", "at the bottom", "+1.58 points (61.82 against 60.24)");
    bool middle = false;
    for (const char* strategy : {"middle", "mid-bottom", "mid-top"}) {
      if (!groups_.tuned({.strategy = strategy, .layers = groups_.quarter()})) continue;
      beats(strategy, std::string(strategy) == "middle" ? "in the middle" : cat("in the middle (", strategy, ")"), "");
      middle = true;
    }
    if (!middle) beats("middle", "in the middle", "");
    beats("top", "at the top", "+4.56 points (61.82 against 57.26)");
    beats("random", "drawn at random", "");
  }

  void keeps_text() {
    Claim& claim = add("c", cat(region_, " keeps text tasks better than tuning all"), "difference of the text means",
                       "points", kAboveZero);
    claim.paper = "+2.56 points (48.24 against 45.68, mean of four, Bunny-8B)";
    const std::string missing = quarter_ ? all_missing() : spread_missing();
    judge(claim, quarter_ && all_ ? statistics_.difference(*quarter_, *all_, Sense::kText) : Estimate{}, missing);
    Claim& loss = add("c", cat(region_, " leaves a lower loss on held-out texts than tuning all"),
                      "mean loss after tuning all layers, minus that after tuning the region", "nats", kAboveZero);
    judge(
        loss,
        paired(mean_loss(statistics_.results(), Sense::kText), [](double spread, double all) { return all - spread; }),
        missing.empty() ? "no held-out texts" : missing);
  }

  void saves_time() {
    const auto saved = [](double spread, double all) { return 100 * (1 - spread / all); };
    const std::string missing = quarter_ ? all_missing() : spread_missing();
    Claim& elapsed =
        add("d", cat(region_, " takes less time than tuning all"), "share of the elapsed time saved", "%", kAboveZero);
    elapsed.paper = "23% (LLaVA-1.5), 13% (Bunny)";
    judge(elapsed, capped(paired(taken_number(&RunTaken::seconds), saved), 100),
          missing.empty() ? "no times" : missing);
    Claim& busy = add("d", cat(region_, " takes less processor time than tuning all"),
                      "share of all threads' time saved", "%", kAboveZero);
    judge(busy, capped(paired(taken_number(&RunTaken::processor_seconds), saved), 100),
          missing.empty() ? "no processor times" : missing);
  }

  void few_fall_off(std::int64_t few, const char* paper) {
    if (few >= groups_.quarter()) return;  // nothing to compare
    Claim& claim = add("e", cat(region_, " is better than tuning ", counted(few, "layer")),
                       "difference of the visual means", "points", kAboveZero);
    claim.paper = paper;
    const auto other = groups_.spread(few);
    const std::string missing = other ? spread_missing() : "so few layers were not tuned";
    judge(claim, quarter_ && other ? statistics_.difference(*quarter_, *other, Sense::kVisual) : Estimate{}, missing);
  }

  // Of the evenly spread groups that from which layers outside were removed.
  std::optional<ModelGroup> pruned_spread() const {
    for (const char* strategy : {"paper", "uniform"}) {
      const auto group = groups_.tuned({.strategy = strategy, .layers = groups_.quarter()});
      if (group && !outside_rules(*group).empty()) return group;
    }
    return std::nullopt;
  }

  std::vector<RemovalRule> outside_rules(const ModelGroup& group) const {
    std::vector<RemovalRule> rules = groups_.removals(group);
    std::erase_if(rules, [](const RemovalRule& rule) { return rule.where != Removal::Where::kOutside; });
    return rules;
  }

  void removing_costs_less() {
    if (const auto spread = pruned_spread()) {
      for (const RemovalRule& rule : outside_rules(*spread)) {
        removing(rule, *spread, all_, Removal::Where::kAnywhere,
                 "than removing as many from the model with all layers tuned", all_missing());
        removing(rule, *spread, spread, Removal::Where::kInside, "than removing as many inside it", "");
      }
      return;
    }
    for (const char* words :
         {"than removing as many from the model with all layers tuned", "than removing as many inside it"}) {
      judge(add("g", cat("removing layers outside the region costs less ", words), "difference of the costs", "points",
                kAboveZero),
            {}, quarter_ ? "no layers were removed outside the region" : spread_missing());
    }
  }

  // The cost of 1 to k layers, on the mean, of `other` minus that of the spread region outside; over the counts that
  // both were measured with.
  void removing(const RemovalRule& rule, const ModelGroup& spread, const std::optional<ModelGroup>& other,
                Removal::Where where, const char* words, const std::string& missing) {
    const std::string chosen = cat(" (by ", rule.metric, rule.spaced ? ", spaced)" : ")");
    Claim& claim = add("g", cat("removing layers outside the region", chosen, " costs less ", words),
                       "difference of the costs", "points", kAboveZero);
    std::vector<ModelGroup> groups;
    std::vector<std::string> counts;
    for (std::int64_t k = 1; other && k < groups_.setting().layers; ++k) {
      const auto outside = groups_.pruned(spread, rule, k);
      const auto others = groups_.pruned(*other, {rule.metric, where, rule.spaced}, k);
      if (!outside || !others) continue;
      if (groups.empty()) groups = {spread, *other};
      groups.push_back(*outside);
      groups.push_back(*others);
      counts.push_back(std::to_string(k));
    }
    if (groups.empty()) return judge(claim, {}, missing.empty() ? "not removed from both" : missing);
    claim.quantity += cat(", mean over ", join(counts, ", "), " removed");
    const auto costs = [](std::span<const double> means) {
      double sum = 0;
      for (std::size_t i = 2; i < means.size(); i += 2) sum += (means[1] - means[i + 1]) - (means[0] - means[i]);
      return sum / (static_cast<double>(means.size() - 2) / 2);
    };
    judge(claim, statistics_.of(groups, Sense::kVisual, costs), missing);
  }

  // Of the spread region and of all, by seed.
  template <typename Combined>
  Estimate paired(const OfModel& number, const Combined& combined) const {
    if (!quarter_ || !all_) return {};
    return over_seeds(std::array{*quarter_, *all_}, number,
                      [&](std::span<const double> means) { return combined(means[0], means[1]); });
  }

  const Statistics& statistics_;
  const StudyGroups& groups_;
  std::optional<ModelGroup> quarter_, all_;
  std::string region_;
  std::vector<Claim> claims_;
};

Verdict told(const Estimate& estimate, bool holds, bool fails) {
  if (!estimate.measured()) return Verdict::kNotMeasured;
  if (!estimate.has_interval()) return Verdict::kNotDistinguishable;
  return holds ? Verdict::kHolds : fails ? Verdict::kDoesNotHold : Verdict::kNotDistinguishable;
}

std::string rounded(double value, const std::string& unit, bool with_sign) {
  const char* format = unit == "nats" ? (with_sign ? "%+.4f" : "%.4f")
                       : unit == "%"  ? (with_sign ? "%+.1f" : "%.1f")
                                      : (with_sign ? "%+.2f" : "%.2f");
  return formatted(value, format);
}

const Claim* claim_named(const std::vector<Claim>& claims, const std::string& letter, const std::string& quantity) {
  const auto found = std::ranges::find_if(
      claims, [&](const Claim& claim) { return claim.letter == letter && claim.quantity.starts_with(quantity); });
  return found == claims.end() || !found->estimate.measured() ? nullptr : &*found;
}

// What is said of a difference that may be none.
std::string untold(const Claim& claim) {
  return claim.verdict == Verdict::kNotDistinguishable ? ", which cannot be told from none at this size" : "";
}

}  // namespace

std::string name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kHolds:
      return "holds";
    case Verdict::kDoesNotHold:
      return "does not hold";
    case Verdict::kNotDistinguishable:
      return "not distinguishable at this size";
    case Verdict::kNotMeasured:
      return "not measured";
  }
  throw internal_error("a verdict without a name");
}

Verdict at_least(const Estimate& e, double threshold) {
  return told(e, e.low >= threshold, e.high < threshold);
}

Verdict more_than(const Estimate& e, double threshold) {
  return told(e, e.low > threshold, e.high < threshold);
}

std::vector<Claim> claims_of(const Statistics& statistics, const StudyGroups& groups) {
  return ClaimList(statistics, groups).made();
}

std::string estimate_text(const Estimate& e, const std::string& unit, bool with_sign) {
  if (!e.measured()) return "-";
  const std::string mark = unit.empty() ? "" : unit == "%" ? "%" : " " + unit;
  const std::string value = rounded(e.value, unit, with_sign) + mark;
  if (e.has_interval())
    return cat(value, " (", rounded(e.low, unit, with_sign), " to ", rounded(e.high, unit, with_sign), ")");
  return e.seeds == 1 ? value + " (one seed)" : value;
}

std::string summary_sentence(const StudyResults& results, const Statistics& statistics, const StudyGroups& groups) {
  const auto spread = groups.spread(groups.quarter()), all = groups.all();
  const StudySetting& setting = groups.setting();
  if (!spread || !all) {
    return cat("The study ", results.name, " has ", results.finished, " of ", results.cells,
               " cells; an evenly spread quarter of ", setting.model,
               "'s layers and all of them have not both been tuned yet.");
  }
  const std::vector<Claim> claims = claims_of(statistics, groups);
  std::vector<std::string> parts;
  if (const Claim* kept = claim_named(claims, "a", "visual")) {
    parts.push_back(cat("reached ", estimate_text(kept->estimate, "%", false),
                        " of the visual mean of tuning all layers, over ", counted(kept->estimate.seeds, "seed")));
  }
  if (const Claim* text = claim_named(claims, "c", "difference")) {
    parts.push_back(
        cat("differed from it by ", estimate_text(text->estimate, "points", true), " on text tasks", untold(*text)));
  } else if (const Claim* loss = claim_named(claims, "c", "mean loss")) {
    const bool lower = loss->estimate.value >= 0;
    parts.push_back(cat("left the loss on held-out texts ", formatted(std::abs(loss->estimate.value), "%.4f"), " nats ",
                        lower ? "lower" : "higher", " than tuning all layers did", untold(*loss)));
  }
  if (const Claim* time = claim_named(claims, "d", "share of the elapsed")) {
    parts.push_back(cat("took ", formatted(std::abs(time->estimate.value), "%.1f"), "% ",
                        time->estimate.value >= 0 ? "less" : "more", " time", untold(*time)));
  }
  if (parts.empty()) parts.emplace_back("was not compared with tuning all layers");
  std::string text = cat("Tuning ", groups.quarter(), " of ", setting.layers, " layers of ", setting.model,
                         ", evenly spread, ", parts.front());
  for (std::size_t i = 1; i < parts.size(); ++i) text += (i + 1 == parts.size() ? "; and it " : "; it ") + parts[i];
  return text + ".";
}

}  // namespace striate::study

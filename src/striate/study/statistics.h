// Means over seeds and differences of a study's models, with intervals by drawing its questions and its seeds again.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "striate/answers/bootstrap.h"
#include "striate/study/groups.h"
#include "striate/study/results.h"

namespace striate::study {

// A number and its 95% interval; NaN: not measured, or no interval.
struct Estimate {
  double value = kNotMeasured, low = kNotMeasured, high = kNotMeasured;
  std::size_t seeds = 0;       // that went into it
  std::size_t benchmarks = 0;  // 0 for what is measured once for each seed

  bool measured() const;      // there is a value
  bool has_interval() const;  // there are both ends
};

// What is computed of the means of several groups: of {a, b} the difference a - b.
using Combine = std::function<double(std::span<const double> means)>;

// Every number in percent: a benchmark's mean score of a question, times 100. The mean of groups over benchmarks is
// that of the benchmarks which all of the groups' models were asked; over seeds, that of the seeds which all groups
// have, each the mean of its draws of a random region. Models before tuning count with every seed. A model that was
// asked fewer benchmarks than another one of its group does not count, nor does its seed: it is not finished, or
// failed.
//
// Intervals are the middle 95% over the draws. In each draw the questions of every benchmark are drawn with
// replacement (those about one picture together), and the seeds with replacement, one fewer than there are, so that the
// spread of few seeds is not understated (Rao and Wu, "Resampling inference with complex survey data", 1988); the draws
// of a random region likewise within each seed. All models are given the same questions and the same seeds: what is
// computed of two groups is paired. With one seed the interval is over questions alone. Where all questions of a
// benchmark are drawn together (there is one, or all are about one picture) there is no interval: they say nothing of
// how others would be answered. The draws depend on the resampling, the numbers of questions and the seeds' number, on
// nothing else.
class Statistics {
 public:
  // The results must outlive it. Takes models x benchmarks x draws numbers of 8 bytes.
  Statistics(const StudyResults& results, const Resampling& resampling);

  const StudyResults& results() const { return results_; }
  const Resampling& resampling() const { return resampling_; }

  Estimate of(std::span<const ModelGroup> groups, Sense sense, const Combine& combine) const;
  Estimate mean(const ModelGroup& group, Sense sense) const;
  Estimate difference(const ModelGroup& a, const ModelGroup& b, Sense sense) const;  // a - b
  // 100 a / b. Where b is 0 there is none; draws in which it is are left out, and where these are more than a twentieth
  // of all draws there is no interval.
  Estimate ratio(const ModelGroup& a, const ModelGroup& b, Sense sense) const;
  // The standard deviation over seeds (n - 1) of the mean over benchmarks; NaN below two seeds.
  double deviation(const ModelGroup& group, Sense sense) const;

 private:
  struct ModelDraws {
    std::vector<std::vector<double>> benchmarks;  // of each one the value, then that of every draw; or empty
  };
  Estimate of_benchmarks(std::span<const ModelGroup> groups, const std::vector<std::size_t>& benchmarks,
                         const Combine& combine) const;
  std::size_t asked_count(const StudiedModel& model, Sense sense) const;
  // The models that count, of the seeds that all groups have; a group may be left without any.
  std::vector<ModelGroup> counted_models(std::span<const ModelGroup> groups, Sense sense) const;
  std::vector<std::size_t> common_benchmarks(std::span<const ModelGroup> groups, Sense sense) const;
  const ModelDraws& draws_of(const StudiedModel& model) const;
  double model_mean(const StudiedModel& model, const std::vector<std::size_t>& benchmarks, std::size_t draw) const;
  double seed_mean(const ModelGroup& group, std::uint64_t seed, const std::vector<std::size_t>& benchmarks,
                   std::size_t draw, std::uint64_t seed_place) const;

  const StudyResults& results_;
  Resampling resampling_;
  std::vector<ModelDraws> models_;  // of results_.models
  std::vector<std::size_t> units_;  // of results_.benchmarks: in how many parts their questions are drawn
};

// What a model has one number of; NaN: none.
using OfModel = std::function<double(const StudiedModel& model)>;

// The same of numbers that are measured once for each seed (times, losses): the value of `combine` for every seed that
// all groups have, their mean, and Student's 95% interval of it; no interval below two seeds.
Estimate over_seeds(std::span<const ModelGroup> groups, const OfModel& number, const Combine& combine);
Estimate over_seeds(const ModelGroup& group, const OfModel& number);
// Their standard deviation over seeds (n - 1); NaN below two seeds.
double deviation_over_seeds(const ModelGroup& group, const OfModel& number);

// The estimate with an interval that does not go beyond what is possible.
Estimate floored(Estimate estimate, double lowest);
Estimate capped(Estimate estimate, double highest);

// What the steps of a run took, in `unit`s; NaN where it is not known.
template <typename Number>
OfModel taken_number(Number RunTaken::*number, double unit = 1) {
  return [number, unit](const StudiedModel& model) {
    const auto value = model.taken ? static_cast<double>(*model.taken.*number) : 0.0;
    return value > 0 ? value / unit : kNotMeasured;
  };
}

// Above which 2.5% of Student's t distribution lie, for 1 degree of freedom or more.
double student_t(std::size_t degrees);

// The seeds that all groups which were tuned have, ascending.
std::vector<std::uint64_t> common_seeds(std::span<const ModelGroup> groups);

}  // namespace striate::study

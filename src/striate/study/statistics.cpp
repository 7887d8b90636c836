#include "striate/study/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "striate/answers/quantile.h"
#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"

namespace striate::study {
namespace {

constexpr std::uint64_t kMostDrawn = 4096;  // seeds, and draws of a random region
constexpr double kMostUndefined = 0.05;     // share of the draws, as much as an interval leaves out

double mean_of(std::span<const double> values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? kNotMeasured : sum / static_cast<double>(values.size());
}

double deviation_over(std::span<const double> values) {
  if (values.size() < 2) return kNotMeasured;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

// For each question the number of what it is drawn with, from 0.
struct DrawnTogether {
  std::vector<std::size_t> of_question;
  std::size_t count = 0;

  explicit DrawnTogether(const StudiedBenchmark& benchmark) {
    std::unordered_map<std::string, std::size_t> numbers;
    for (const AskedQuestion& question : benchmark.questions) {
      const std::size_t number =
          question.together.empty() ? count : numbers.try_emplace(question.together, count).first->second;
      if (number == count) ++count;
      of_question.push_back(number);
    }
  }
};

// How often each question is drawn.
std::vector<double> question_weights(const RandomStream& random, const DrawnTogether& together, std::int64_t draw) {
  std::vector<double> drawn(together.count, 0.0), weights;
  for (std::size_t i = 0; i < together.count; ++i) {
    const std::uint64_t index = static_cast<std::uint64_t>(draw) * together.count + i;
    ++drawn[static_cast<std::size_t>(random.uniform(index) * static_cast<double>(together.count))];
  }
  weights.reserve(together.of_question.size());
  for (const std::size_t number : together.of_question) weights.push_back(drawn[number]);
  return weights;
}

// In four parts, which a processor adds side by side.
double weighted_mean(std::span<const double> weights, std::span<const double> values) {
  std::array<double, 4> sums{}, totals{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[i % 4] += weights[i] * values[i];
    totals[i % 4] += weights[i];
  }
  const double total = totals[0] + totals[1] + totals[2] + totals[3];
  return total > 0 ? (sums[0] + sums[1] + sums[2] + sums[3]) / total : kNotMeasured;
}

// One fewer than there are, at least one: which of `count` are drawn.
std::vector<std::size_t> drawn_places(const RandomStream& random, std::size_t count, std::uint64_t from) {
  std::vector<std::size_t> places(std::max<std::size_t>(count, 2) - 1);
  for (std::size_t i = 0; i < places.size(); ++i)
    places[i] = static_cast<std::size_t>(random.uniform(from + i) * static_cast<double>(count));
  return places;
}

bool any_tuned(std::span<const ModelGroup> groups) {
  return std::ranges::any_of(groups, [](const ModelGroup& group) { return group.first().tuning.has_value(); });
}

// The seeds to go through; models before tuning alone count once.
std::vector<std::uint64_t> counted_seeds(std::span<const ModelGroup> groups) {
  return any_tuned(groups) ? common_seeds(groups) : std::vector<std::uint64_t>{0};
}

std::size_t seeds_of(std::span<const ModelGroup> groups) {
  return any_tuned(groups) ? common_seeds(groups).size() : 0;
}

// Sums in another order differ in the last bits: equal means have the difference 0.
double rounded_off(double value) {
  constexpr double kDecimals = 1e9;
  return std::round(value * kDecimals) / kDecimals;
}

double first_of(std::span<const double> means) {
  return means[0];
}

double difference_of(std::span<const double> means) {
  return means[0] - means[1];
}

}  // namespace

bool Estimate::measured() const {
  return std::isfinite(value);
}

bool Estimate::has_interval() const {
  return std::isfinite(low) && std::isfinite(high);
}

Statistics::Statistics(const StudyResults& results, const Resampling& resampling)
    : results_(results), resampling_(resampling), models_(results.models.size()) {
  for (ModelDraws& model : models_) model.benchmarks.resize(results.benchmarks.size());
  for (std::size_t b = 0; b < results.benchmarks.size(); ++b) {
    const StudiedBenchmark& benchmark = results.benchmarks[b];
    const DrawnTogether together(benchmark);
    units_.push_back(together.count);
    const RandomStream random(resampling.seed, cat("study questions of ", benchmark.name));
    std::vector<std::pair<const std::vector<double>*, std::vector<double>*>> asked;
    for (std::size_t m = 0; m < models_.size(); ++m) {
      const auto found = results.models[m].benchmarks.find(benchmark.name);
      if (found == results.models[m].benchmarks.end() || benchmark.questions.empty()) continue;
      asked.emplace_back(&found->second.questions, &models_[m].benchmarks[b]);
      asked.back().second->push_back(100 * mean_of(found->second.questions));
    }
    for (std::int64_t draw = 0; draw < resampling.draws && !asked.empty(); ++draw) {
      const std::vector<double> weights = question_weights(random, together, draw);
      for (const auto& [questions, out] : asked) out->push_back(100 * weighted_mean(weights, *questions));
    }
  }
}

const Statistics::ModelDraws& Statistics::draws_of(const StudiedModel& model) const {
  return models_[static_cast<std::size_t>(&model - results_.models.data())];
}

std::size_t Statistics::asked_count(const StudiedModel& model, Sense sense) const {
  std::size_t count = 0;
  for (std::size_t b = 0; b < results_.benchmarks.size(); ++b)
    count += results_.benchmarks[b].sense == sense && !draws_of(model).benchmarks[b].empty() ? 1 : 0;
  return count;
}

std::vector<ModelGroup> Statistics::counted_models(std::span<const ModelGroup> groups, Sense sense) const {
  std::vector<ModelGroup> out;
  for (const ModelGroup& group : groups) {
    std::size_t most = 1;
    for (const StudiedModel* model : group.models) most = std::max(most, asked_count(*model, sense));
    out.push_back(group);
    std::erase_if(out.back().models, [&](const StudiedModel* m) { return asked_count(*m, sense) < most; });
  }
  if (std::ranges::any_of(out, [](const ModelGroup& group) { return group.models.empty(); })) return out;
  const std::vector<std::uint64_t> seeds = common_seeds(out);
  for (ModelGroup& group : out) {
    std::erase_if(group.models,
                  [&](const StudiedModel* m) { return m->tuning && std::ranges::count(seeds, m->tuning->seed) == 0; });
  }
  return out;
}

std::vector<std::size_t> Statistics::common_benchmarks(std::span<const ModelGroup> groups, Sense sense) const {
  std::vector<std::size_t> out;
  for (std::size_t b = 0; b < results_.benchmarks.size(); ++b) {
    if (results_.benchmarks[b].sense != sense) continue;
    const bool common = std::ranges::all_of(groups, [&](const ModelGroup& group) {
      return std::ranges::all_of(group.models, [&](const auto* m) { return !draws_of(*m).benchmarks[b].empty(); });
    });
    if (common) out.push_back(b);
  }
  return out;
}

double Statistics::model_mean(const StudiedModel& model, const std::vector<std::size_t>& benchmarks,
                              std::size_t draw) const {
  double sum = 0;
  for (const std::size_t b : benchmarks) sum += draws_of(model).benchmarks[b][draw];
  return sum / static_cast<double>(benchmarks.size());
}

// The mean over the draws of a random region, or over those of them that are drawn; draw 0 is the value itself.
double Statistics::seed_mean(const ModelGroup& group, std::uint64_t seed, const std::vector<std::size_t>& benchmarks,
                             std::size_t draw, std::uint64_t seed_place) const {
  std::vector<double> means;
  for (const StudiedModel* model : group.models) {
    if (!model->tuning || model->tuning->seed == seed) means.push_back(model_mean(*model, benchmarks, draw));
  }
  if (draw == 0 || means.size() < 2) return mean_of(means);
  const RandomStream random(resampling_.seed, "study draws of regions");
  double sum = 0;
  const auto places = drawn_places(random, means.size(), (draw * kMostDrawn + seed_place) * kMostDrawn);
  for (const std::size_t place : places) sum += means[place];
  return sum / static_cast<double>(places.size());
}

Estimate Statistics::of_benchmarks(std::span<const ModelGroup> groups, const std::vector<std::size_t>& benchmarks,
                                   const Combine& combine) const {
  const std::vector<std::uint64_t> seeds = counted_seeds(groups);
  if (benchmarks.empty() || seeds.empty()) return {};
  const RandomStream random(resampling_.seed, "study seeds");
  // The means of the groups, each over the seeds at these places.
  const auto value_at = [&](std::size_t draw, const std::vector<std::size_t>& places) {
    std::vector<double> means;
    for (const ModelGroup& group : groups) {
      double sum = 0;
      for (std::size_t i = 0; i < places.size(); ++i) sum += seed_mean(group, seeds[places[i]], benchmarks, draw, i);
      means.push_back(sum / static_cast<double>(places.size()));
    }
    return rounded_off(combine(means));
  };
  std::vector<std::size_t> all(seeds.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const bool can_be_drawn = std::ranges::all_of(benchmarks, [&](std::size_t b) { return units_[b] > 1; });
  std::vector<double> values;
  for (std::size_t draw = 1; can_be_drawn && draw <= static_cast<std::size_t>(resampling_.draws); ++draw)
    values.push_back(value_at(draw, drawn_places(random, seeds.size(), draw * kMostDrawn)));
  const auto undefined = std::ranges::count_if(values, [](double value) { return !std::isfinite(value); });
  if (static_cast<double>(undefined) > kMostUndefined * static_cast<double>(values.size())) values.clear();
  const Interval interval = middle_of(std::move(values));
  return {value_at(0, all), interval.low, interval.high, seeds_of(groups), benchmarks.size()};
}

Estimate Statistics::of(std::span<const ModelGroup> groups, Sense sense, const Combine& combine) const {
  const std::vector<ModelGroup> counted = counted_models(groups, sense);
  if (std::ranges::any_of(counted, [](const ModelGroup& group) { return group.models.empty(); })) return {};
  return of_benchmarks(counted, common_benchmarks(counted, sense), combine);
}

Estimate Statistics::mean(const ModelGroup& group, Sense sense) const {
  return of(std::span(&group, 1), sense, first_of);
}

Estimate Statistics::difference(const ModelGroup& a, const ModelGroup& b, Sense sense) const {
  return of(std::array{a, b}, sense, difference_of);
}

Estimate Statistics::ratio(const ModelGroup& a, const ModelGroup& b, Sense sense) const {
  return of(std::array{a, b}, sense, [](std::span<const double> means) { return 100 * means[0] / means[1]; });
}

double Statistics::deviation(const ModelGroup& group, Sense sense) const {
  const ModelGroup counted = counted_models(std::span(&group, 1), sense).front();
  if (counted.models.empty()) return kNotMeasured;
  const std::vector<std::size_t> benchmarks = common_benchmarks(std::span(&counted, 1), sense);
  std::vector<double> means;
  for (const std::uint64_t seed : counted.seeds()) means.push_back(seed_mean(counted, seed, benchmarks, 0, 0));
  return deviation_over(means);
}

std::vector<std::uint64_t> common_seeds(std::span<const ModelGroup> groups) {
  std::optional<std::vector<std::uint64_t>> common;
  for (const ModelGroup& group : groups) {
    const std::vector<std::uint64_t> seeds = group.seeds();
    if (seeds.empty()) continue;  // before tuning
    if (!common) {
      common = seeds;
    } else {
      std::erase_if(*common, [&](std::uint64_t seed) { return std::ranges::count(seeds, seed) == 0; });
    }
  }
  return common.value_or(std::vector<std::uint64_t>());
}

Estimate floored(Estimate estimate, double lowest) {
  estimate.low = std::max(estimate.low, lowest);
  return estimate;
}

Estimate capped(Estimate estimate, double highest) {
  estimate.high = std::min(estimate.high, highest);
  return estimate;
}

double student_t(std::size_t degrees) {
  constexpr std::array kQuantiles = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                     2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                                     2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};
  if (degrees < 1) throw internal_error("Student's t without a degree of freedom");
  if (degrees <= kQuantiles.size()) return kQuantiles[degrees - 1];
  return 1.960 + 2.46 / static_cast<double>(degrees);  // within 0.001
}

namespace {

// The values of seeds that have one.
std::vector<double> seed_values(std::span<const ModelGroup> groups, const OfModel& number, const Combine& combine) {
  std::vector<double> values;
  for (const std::uint64_t seed : counted_seeds(groups)) {
    std::vector<double> means;
    for (const ModelGroup& group : groups) {
      std::vector<double> numbers;
      for (const StudiedModel* model : group.models) {
        if (!model->tuning || model->tuning->seed == seed) numbers.push_back(number(*model));
      }
      means.push_back(mean_of(numbers));
    }
    const double value = combine(means);
    if (std::isfinite(value)) values.push_back(value);
  }
  return values;
}

}  // namespace

Estimate over_seeds(std::span<const ModelGroup> groups, const OfModel& number, const Combine& combine) {
  const std::vector<double> values = seed_values(groups, number, combine);
  if (values.empty()) return {};
  Estimate out{.value = mean_of(values), .seeds = any_tuned(groups) ? values.size() : 0};
  if (values.size() < 2) return out;
  const double half =
      student_t(values.size() - 1) * deviation_over(values) / std::sqrt(static_cast<double>(values.size()));
  out.low = out.value - half;
  out.high = out.value + half;
  return out;
}

Estimate over_seeds(const ModelGroup& group, const OfModel& number) {
  return over_seeds(std::span(&group, 1), number, first_of);
}

double deviation_over_seeds(const ModelGroup& group, const OfModel& number) {
  return deviation_over(seed_values(std::span(&group, 1), number, first_of));
}

}  // namespace striate::study

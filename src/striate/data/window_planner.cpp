#include "striate/data/window_planner.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <iterator>

#include "striate/base/strings.h"
#include "striate/data/images_folder.h"
#include "striate/data/sample_order.h"
#include "striate/data/shared_check.h"

namespace striate {
namespace {

constexpr std::int64_t kMostSteps = 32;        // of a window
constexpr std::int64_t kWindowSamples = 1024;  // a window of more ends with the step it is in
constexpr std::size_t kAhead = 128;            // samples checked at once where it is not known how many will do
constexpr std::int64_t kFewestDrawn = 1000;    // what a share of bad samples is taken of, at least
constexpr std::int64_t kMeasured = 512;        // samples that a mean is taken of
constexpr std::int64_t kMostPlaced = 1 << 26;  // samples, through all epochs, whose steps are counted one by one

}  // namespace

std::vector<std::int64_t> lengths_of(const std::vector<PlannedSample>& samples, const Group& group) {
  std::vector<std::int64_t> lengths;
  for (const std::size_t member : group) lengths.push_back(samples[member].sample.tokens);
  return lengths;
}

Group rank_share(const std::vector<PlannedSample>& samples, const Group& step, int rank, int ranks) {
  const std::vector<Group> dealt = deal_ranks(lengths_of(samples, step), ranks);
  Group share;
  for (const std::size_t place : dealt[static_cast<std::size_t>(rank)]) share.push_back(step[place]);
  return share;
}

WindowPlanner::WindowPlanner(const Dataset& data, const SampleEncoder& encoder, PictureChecker& pictures,
                             const StepSourceOptions& options, WorkerPool& pool)
    : data_(&data), encoder_(&encoder), pictures_(&pictures), options_(options), pool_(&pool) {}

std::vector<std::int64_t> WindowPlanner::draw(OrderPosition from, std::size_t count) {
  if (from.epoch != order_epoch_) {
    order_ = epoch_order(data_->size(), options_.seed, from.epoch, options_.shuffle);
    order_epoch_ = from.epoch;
  }
  const auto begin = static_cast<std::size_t>(from.index);
  const std::size_t end = std::min(begin + count, order_.size());
  return {order_.begin() + static_cast<std::ptrdiff_t>(begin), order_.begin() + static_cast<std::ptrdiff_t>(end)};
}

// How many samples to prepare next: no more than can be used, where that is known. With `batch` a window has whole
// steps, and ends with the step in which the epoch ends.
std::size_t WindowPlanner::wanted(const Window& window) const {
  if (options_.batch == 0) return kAhead;
  const std::int64_t count = static_cast<std::int64_t>(window.samples.size());
  const std::int64_t most = std::clamp<std::int64_t>(kWindowSamples / options_.batch, 1, kMostSteps) * options_.batch;
  const std::int64_t step_lacks =
      count == 0 ? options_.batch : (options_.batch - count % options_.batch) % options_.batch;
  return static_cast<std::size_t>(window.end.epoch > window.begin.epoch ? step_lacks : most - count);
}

// Whether a window by tokens, which has `tokens` in so many samples, ends before a sample of `next`: when its steps are
// full. How many there are is settled when the epoch ends, or when the samples are many.
bool WindowPlanner::is_full(bool epoch_ended, std::size_t samples, std::int64_t tokens, std::int64_t next) const {
  const std::int64_t budget = options_.tokens_per_step;
  const bool settled = epoch_ended || static_cast<std::int64_t>(samples) >= kWindowSamples;
  const std::int64_t steps = settled ? (tokens + budget - 1) / budget : kMostSteps;
  return tokens > 0 && tokens + next > std::min(steps, kMostSteps) * budget;
}

Window WindowPlanner::plan(OrderPosition begin, std::optional<std::int64_t> bad_before) {
  Window window{begin, begin, {}, {}, {}};
  std::vector<std::int64_t> lengths;
  std::int64_t tokens = 0;
  std::int64_t barren = 0;  // samples since the last good one
  for (bool full = false; !full;) {
    for (CheckedSample& checked : check(draw(window.end, wanted(window)))) {
      if (checked.bad) {
        refuse_if_told(*checked.bad);
        if (++barren > data_->size()) {
          ask_about_folder(*checked.bad);
          throw invalid_input(cat(data_->file().string(), ": no sample is good; the latest: ", checked.bad->message),
                              cat(checked.bad->hint, "; striate data check lists what is wrong"));
        }
        window.skipped.push_back(std::move(*checked.bad));
        if (bad_before) {
          count_bad(window.skipped.back(), *bad_before + static_cast<std::int64_t>(window.skipped.size()), window.end);
        }
      } else {
        full = options_.batch == 0 &&
               is_full(window.end.epoch > window.begin.epoch, window.samples.size(), tokens, checked.sample.tokens);
        if (full) break;
        barren = 0;
        tokens += checked.sample.tokens;
        lengths.push_back(checked.sample.tokens);
        window.samples.push_back({window.end.epoch, checked.index, std::move(checked.sample)});
      }
      if (++window.end.index == data_->size()) window.end = {window.end.epoch + 1, 0};
    }
    if (options_.batch > 0) full = wanted(window) == 0;
  }
  window.steps =
      options_.batch > 0 ? deal_steps(lengths, options_.batch) : deal_budget(lengths, options_.tokens_per_step);
  complete_share(window);
  return window;
}

std::vector<CheckedSample> WindowPlanner::check(const std::vector<std::int64_t>& indices) {
  if (!options_.exchange) return check_samples(*data_, *encoder_, *pictures_, *pool_, indices);
  return check_shared(*data_, *encoder_, *pictures_, *pool_, indices, *options_.exchange, stop_.get_token());
}

// Encodes those samples of this rank's share that other ranks have checked.
void WindowPlanner::complete_share(Window& window) {
  if (!options_.exchange) return;
  std::vector<std::future<void>> encoding;
  for (const Group& step : window.steps) {
    encoding.push_back(
        pool_->submit(Urgency::kLater, [&, share = rank_share(window.samples, step, options_.rank, options_.ranks)] {
          for (const std::size_t place : share) {
            PlannedSample& planned = window.samples[place];
            complete_sample(*data_, *encoder_, planned.index, planned.sample);
          }
        }));
  }
  // Every part is awaited before an exception leaves: they use the window.
  for (const auto& part : encoding) part.wait();
  for (auto& part : encoding) part.get();
}

void WindowPlanner::refuse_if_told(const SkippedSample& bad) const {
  if (options_.on_bad_sample == OnBadSample::kSkip) return;
  ask_about_folder(bad);
  throw BadSample(bad.reason, bad.message,
                  cat(bad.hint, "; `on_bad_sample` skip leaves such samples out; striate data check lists them all"));
}

void WindowPlanner::ask_about_folder(const SkippedSample& bad) const {
  if (bad.reason != BadReason::kMissingImage) return;
  if (const auto wrong = wrong_images_folder(*data_, pictures_->folder())) throw Error(*wrong);
}

// `at` is the place of the latest bad sample.
void WindowPlanner::count_bad(const SkippedSample& latest, std::int64_t bad, OrderPosition at) const {
  const std::int64_t drawn = at.epoch * data_->size() + at.index + 1;
  const std::int64_t of = std::max(drawn, std::min(data_->size(), kFewestDrawn));
  if (static_cast<double>(bad) <= options_.max_bad_share * static_cast<double>(of)) return;
  ask_about_folder(latest);
  throw invalid_input(cat(bad, " bad samples among the first ", drawn, " (at most ", 100 * options_.max_bad_share,
                          "% may be skipped), the latest: ", latest.message),
                      cat(latest.hint, "; striate data check lists them all; `max_bad_share` allows more"));
}

// Plans the windows as plan() does, from the lengths alone.
std::int64_t WindowPlanner::steps_of(double epochs, const std::vector<std::int64_t>& tokens) const {
  if (std::ranges::all_of(tokens, [](std::int64_t count) { return count == 0; })) return 1;  // plan() refuses them
  const std::int64_t size = data_->size();
  // Samples are counted through all epochs: those before `end` must be in a step.
  const auto end = static_cast<std::int64_t>(std::ceil(epochs * static_cast<double>(size) - 1e-9));
  std::vector<std::uint32_t> order;
  std::int64_t order_epoch = -1;
  const auto tokens_at = [&](std::int64_t place) {
    if (place / size != order_epoch) {
      order_epoch = place / size;
      order = epoch_order(size, options_.seed, order_epoch, options_.shuffle);
    }
    return tokens[order[static_cast<std::size_t>(place % size)]];
  };
  std::int64_t steps = 0;
  std::int64_t place = 0;
  while (place < end) {
    if (place > kMostPlaced) {  // nobody waits for the end of so long a run
      const double share = static_cast<double>(end) / static_cast<double>(place);
      return static_cast<std::int64_t>(std::ceil(static_cast<double>(steps) * share));
    }
    const std::int64_t epoch = place / size;
    std::vector<std::int64_t> lengths;
    std::vector<std::int64_t> places;
    for (std::int64_t sum = 0;; ++place) {
      const std::int64_t next = tokens_at(place);
      if (next == 0) continue;
      if (is_full(place / size > epoch, lengths.size(), sum, next)) break;
      lengths.push_back(next);
      places.push_back(place);
      sum += next;
    }
    const std::vector<Group> window = deal_budget(lengths, options_.tokens_per_step);
    const auto last =
        std::find_if(window.rbegin(), window.rend(), [&](const Group& step) { return places[step.front()] < end; });
    steps += std::distance(last, window.rend());
  }
  return std::max<std::int64_t>(1, steps);
}

double WindowPlanner::mean_tokens() const {
  std::vector<std::int64_t> indices;
  const std::int64_t count = std::min(data_->size(), kMeasured);
  for (std::int64_t i = 0; i < count; ++i) indices.push_back(i * data_->size() / count);
  std::int64_t good = 0;
  std::int64_t tokens = 0;
  for (const std::int64_t index : indices) {
    try {
      tokens += encoder_->encode(data_->read(index), {}).tokens;
      ++good;
    } catch (const BadSample&) {  // counted when its turn comes
    }
  }
  return good == 0 ? 1.0 : static_cast<double>(tokens) / static_cast<double>(good);
}

}  // namespace striate

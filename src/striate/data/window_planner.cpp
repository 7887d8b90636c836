#include "striate/data/window_planner.h"

#include <algorithm>

#include "striate/base/strings.h"
#include "striate/data/sample_order.h"

namespace striate {
namespace {

constexpr std::int64_t kMostSteps = 32;        // of a window
constexpr std::int64_t kWindowSamples = 1024;  // a window of more ends with the step it is in
constexpr std::size_t kAhead = 128;            // samples checked at once where it is not known how many will do
constexpr std::int64_t kFewestDrawn = 1000;    // what a share of bad samples is taken of, at least
constexpr std::int64_t kProbed = 512;          // samples that a mean is taken of

}  // namespace

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

// Whether a window by tokens ends before `next`: when its steps are full. How many there are is settled when the epoch
// ends, or when the samples are many.
bool WindowPlanner::is_full(const Window& window, std::int64_t tokens, const EncodedSample& next) const {
  const std::int64_t budget = options_.tokens_per_step;
  const bool settled =
      window.end.epoch > window.begin.epoch || static_cast<std::int64_t>(window.samples.size()) >= kWindowSamples;
  const std::int64_t steps = settled ? (tokens + budget - 1) / budget : kMostSteps;
  return tokens > 0 && tokens + next.tokens > std::min(steps, kMostSteps) * budget;
}

Window WindowPlanner::plan(OrderPosition begin, std::optional<std::int64_t> bad_before) {
  Window window{begin, begin, {}, {}, {}};
  std::vector<std::int64_t> lengths;
  std::int64_t tokens = 0;
  std::int64_t barren = 0;  // samples since the last good one
  for (bool full = false; !full;) {
    for (CheckedSample& checked :
         check_samples(*data_, *encoder_, *pictures_, *pool_, draw(window.end, wanted(window)))) {
      if (checked.bad) {
        refuse_if_told(*checked.bad);
        if (++barren > data_->size()) {
          throw invalid_input(cat(data_->file().string(), ": no good sample in it, the latest: ", checked.bad->message),
                              "striate data check lists what is wrong");
        }
        window.skipped.push_back(std::move(*checked.bad));
        if (bad_before) {
          count_bad(window.skipped.back(), *bad_before + static_cast<std::int64_t>(window.skipped.size()), window.end);
        }
      } else {
        full = options_.batch == 0 && is_full(window, tokens, checked.sample);
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
  return window;
}

void WindowPlanner::refuse_if_told(const SkippedSample& bad) const {
  if (options_.on_bad_sample == OnBadSample::kSkip) return;
  throw BadSample(bad.reason, bad.message,
                  "--on-bad-sample skip leaves such samples out; striate data check lists them all");
}

// `at` is the place of the latest bad sample.
void WindowPlanner::count_bad(const SkippedSample& latest, std::int64_t bad, OrderPosition at) const {
  const std::int64_t drawn = at.epoch * data_->size() + at.index + 1;
  const std::int64_t of = std::max(drawn, std::min(data_->size(), kFewestDrawn));
  if (static_cast<double>(bad) <= options_.max_bad_share * static_cast<double>(of)) return;
  throw invalid_input(cat(bad, " bad samples among the first ", drawn, " (at most ", 100 * options_.max_bad_share,
                          "% may be skipped), the latest: ", latest.message),
                      "striate data check lists them all; --max-bad-share allows more");
}

double WindowPlanner::mean_tokens() const {
  std::vector<std::int64_t> indices;
  const std::int64_t count = std::min(data_->size(), kProbed);
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

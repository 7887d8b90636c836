#include "striate/data/step_source.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <exception>
#include <future>

#include "striate/base/strings.h"
#include "striate/data/bad_sample_log.h"
#include "striate/data/picture_features.h"
#include "striate/data/window_planner.h"

namespace striate {
namespace {

// What is decoded ahead of the model, at most.
constexpr std::int64_t kPixelBytesAhead = 400'000'000;
constexpr std::size_t kFewestPicturesAhead = 16;
constexpr std::size_t kMostPicturesAhead = 512;

void check_options(const StepSourceOptions& o) {
  if ((o.batch > 0) == (o.tokens_per_step > 0)) {
    throw invalid_input("give either samples a step or tokens a step", "--batch N or --tokens-per-step N");
  }
  if (o.max_tokens < 2) throw invalid_input(cat("--max-tokens ", o.max_tokens, ": nothing fits"), "give more");
  if (o.tokens_per_stream < o.max_tokens) {
    throw invalid_input(cat("--tokens-per-stream ", o.tokens_per_stream, ": a sample may have ", o.max_tokens,
                            " tokens (--max-tokens)"),
                        "raise the one or lower the other");
  }
  if (o.tokens_per_step > 0 && o.tokens_per_step < o.max_tokens) {
    throw invalid_input(
        cat("--tokens-per-step ", o.tokens_per_step, ": a sample may have ", o.max_tokens, " tokens (--max-tokens)"),
        "raise the one or lower the other");
  }
  if (o.threads < 1) throw invalid_input(cat(o.threads, " threads for reading"), "give 1 or more");
  if (o.ranks < 1 || o.rank < 0 || o.rank >= o.ranks) throw internal_error(cat("rank ", o.rank, " of ", o.ranks));
  check_images_folder(o.images);
}

// A step's samples that this rank trains on, packed into streams; and what is known of the whole step.
struct RankStep {
  std::vector<std::vector<PlannedSample>> streams;
  std::vector<std::string> pictures;  // of all samples, in order
  TrainingStep whole;                 // totals and position; no streams yet
};

std::uint64_t sample_key(const PlannedSample& planned) {
  return (static_cast<std::uint64_t>(planned.epoch) << 40) | static_cast<std::uint64_t>(planned.index);
}

std::vector<std::int64_t> lengths_of(const std::vector<PlannedSample>& samples, const Group& group) {
  std::vector<std::int64_t> lengths;
  for (const std::size_t member : group) lengths.push_back(samples[member].sample.tokens);
  return lengths;
}

class LlavaStepSource : public StepSource {
 public:
  LlavaStepSource(const Lvlm& model, const Tokenizer& tokenizer, const StepSourceOptions& options,
                  const DataPosition& start)
      : model_(&model),
        options_(options),
        data_(options.data),
        encoder_(model.config(), tokenizer, options.conversation, options.max_tokens),
        pool_(options.threads),
        pictures_(model,
                  {.images = options.images,
                   .preprocess = options.preprocess,
                   .cache_bytes = options.pixels ? 0 : options.feature_cache_bytes,
                   .cache_folder = options.pixels ? std::filesystem::path() : options.feature_cache_folder},
                  pool_),
        planner_(data_, encoder_, pictures_.checker(), options, pool_),
        log_(options.rank == 0 ? options.bad_samples_file : std::filesystem::path()),
        position_(start),
        skip_steps_(start.step_in_window) {
    if (start.epoch < 0 || start.window_start < 0 || start.window_start >= data_.size() || start.step_in_window < 0) {
      throw invalid_input(cat(options.data.string(), ": the run to be resumed stands at sample ", start.window_start,
                              " of its epoch, the file has ", data_.size()),
                          "resume with the data it was started with");
    }
    estimate_steps();
    begin_window({start.epoch, start.window_start});
  }

  ~LlavaStepSource() override { pool_.stop(); }

  TrainingStep next() override {
    while (planned_.empty()) {
      if (failure_) std::rethrow_exception(failure_);
      adopt_window();
    }
    if (failed_step_) std::rethrow_exception(failed_step_);
    try {
      return assemble();
    } catch (...) {
      failed_step_ = std::current_exception();
      throw;
    }
  }

  std::int64_t samples_per_epoch() const override { return data_.size(); }
  std::int64_t steps_per_epoch() const override { return steps_per_epoch_; }

 private:
  void estimate_steps() {
    const auto samples = static_cast<double>(data_.size());
    const double steps =
        options_.batch > 0
            ? std::ceil(samples / static_cast<double>(options_.batch))
            : std::ceil(samples * planner_.mean_tokens() / static_cast<double>(options_.tokens_per_step));
    steps_per_epoch_ = std::max<std::int64_t>(1, static_cast<std::int64_t>(steps));
  }

  void begin_window(OrderPosition begin) {
    // A run that stopped inside a window has counted its bad samples, and went on.
    const std::optional<std::int64_t> bad = skip_steps_ > 0 ? std::nullopt : std::optional(position_.bad_samples);
    upcoming_ = std::async(std::launch::async, [this, begin, bad] { return planner_.plan(begin, bad); });
  }

  // Takes the planned window over and begins the one after it. What failed is told once the steps before it are taken.
  void adopt_window() {
    try {
      Window window = upcoming_.get();
      position_.epoch = window.begin.epoch;
      position_.window_start = window.begin.index;
      if (skip_steps_ == 0) position_.bad_samples += static_cast<std::int64_t>(window.skipped.size());
      log_.add(window.skipped);
      if (skip_steps_ >= static_cast<std::int64_t>(window.steps.size()) && skip_steps_ > 0) {
        throw invalid_input(cat(options_.data.string(), ": the run to be resumed stands at step ", skip_steps_,
                                " of a window of ", window.steps.size()),
                            "resume with the data and options it was started with");
      }
      const std::size_t steps = window.steps.size();
      for (std::size_t step = 0; step < steps; ++step) plan_step(window, step);
      skip_steps_ = 0;
      adopted_steps_ = steps;
      begin_window(window.end);
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  void plan_step(Window& window, std::size_t step) {
    const Group& members = window.steps[step];
    const bool skipped = static_cast<std::int64_t>(step) < skip_steps_;
    RankStep planned;
    planned.whole.samples = static_cast<std::int64_t>(members.size());
    for (const std::size_t member : members) {
      const EncodedSample& sample = window.samples[member].sample;
      planned.whole.tokens += sample.tokens;
      planned.whole.targets += sample.targets;
      if (!skipped && sample.truncated) ++position_.truncated_samples;
    }
    if (skipped) return;
    position_.seen_samples += planned.whole.samples;
    position_.step_in_window = static_cast<std::int64_t>(step) + 1;
    planned.whole.after = position_;
    if (step + 1 == window.steps.size()) {
      planned.whole.after.epoch = window.end.epoch;
      planned.whole.after.window_start = window.end.index;
      planned.whole.after.step_in_window = 0;
    }
    const Group mine =
        deal_ranks(lengths_of(window.samples, members), options_.ranks)[static_cast<std::size_t>(options_.rank)];
    Group share;
    for (const std::size_t place : mine) share.push_back(members[place]);
    for (const Group& stream : deal_budget(lengths_of(window.samples, share), options_.tokens_per_stream)) {
      auto& samples = planned.streams.emplace_back();
      for (const std::size_t place : stream) {
        samples.push_back(std::move(window.samples[share[place]]));
        const auto& images = samples.back().sample.images;
        planned.pictures.insert(planned.pictures.end(), images.begin(), images.end());
      }
    }
    planned_.push_back(std::move(planned));
  }

  // A step, from the front of what is planned.
  TrainingStep assemble() {
    const std::size_t count = planned_.front().pictures.size();
    const auto next_picture = [this] {
      read_ahead();
      std::future<LoadedPicture> loaded = std::move(loading_.front());
      loading_.pop_front();
      return loaded.get();
    };
    std::vector<at::Tensor> looked;
    if (options_.pixels) {
      for (std::size_t i = 0; i < count; ++i) looked.push_back(next_picture().pixels);
    } else {
      looked = pictures_.features(count, next_picture);
    }
    RankStep planned = std::move(planned_.front());
    planned_.pop_front();
    if (submitted_steps_ > 0) {
      --submitted_steps_;
    } else {
      submitted_pictures_ = 0;
    }
    read_ahead();
    return pack_step(std::move(planned), looked);
  }

  TrainingStep pack_step(RankStep planned, const std::vector<at::Tensor>& looked) const {
    TrainingStep step = std::move(planned.whole);
    std::size_t picture = 0;
    for (std::vector<PlannedSample>& stream : planned.streams) {
      std::vector<Sample> samples;
      std::vector<at::Tensor> pixels;
      auto& names = step.sample_names.emplace_back();
      for (PlannedSample& member : stream) {
        names.push_back(sample_name(data_, member.index, member.sample.id));
        Sample& sample = samples.emplace_back();
        sample.input_ids = std::move(member.sample.input_ids);
        sample.labels = std::move(member.sample.labels);
        sample.key = sample_key(member);
        for (std::size_t i = 0; i < member.sample.images.size(); ++i, ++picture) {
          if (options_.pixels) pixels.push_back(looked[picture]);
          // Rows without columns: they hold the places of features that the caller makes of the pixels.
          sample.images.push_back(options_.pixels ? at::zeros({encoder_.rows_per_image(), 0}) : looked[picture]);
        }
      }
      PackedBatch batch = pack(samples);
      if (!pixels.empty()) {
        batch.pixels = at::stack(pixels).to(model_->placement().device);
        batch.image_features = at::Tensor();
      }
      if (batch.image_features.defined()) batch.image_features = batch.image_features.to(model_->placement().device);
      step.streams.push_back(std::move(batch));
    }
    return step;
  }

  std::size_t pictures_ahead() const {
    const std::int64_t side = pictures_.preprocess().size;
    const auto fit = static_cast<std::size_t>(kPixelBytesAhead / (3 * side * side * 4));
    return std::clamp(fit, kFewestPicturesAhead, kMostPicturesAhead);
  }

  // Keeps the threads busy: plans on when half a window is left, and has the next pictures loaded.
  void read_ahead() {
    using namespace std::chrono_literals;
    if (!failure_ && planned_.size() <= adopted_steps_ / 2 && upcoming_.wait_for(0s) == std::future_status::ready) {
      adopt_window();
    }
    while (loading_.size() < pictures_ahead() && submitted_steps_ < planned_.size()) {
      const RankStep& step = planned_[submitted_steps_];
      if (submitted_pictures_ == step.pictures.size()) {
        ++submitted_steps_;
        submitted_pictures_ = 0;
        continue;
      }
      const std::string name = step.pictures[submitted_pictures_++];
      loading_.push_back(pool_.submit(Urgency::kSoon, [this, name] {
        if (!options_.pixels) return pictures_.load(name);
        return LoadedPicture{name, {}, {}, pictures_.pixels(name)};
      }));
    }
  }

  const Lvlm* model_;
  StepSourceOptions options_;
  Dataset data_;
  SampleEncoder encoder_;
  WorkerPool pool_;
  PictureFeatures pictures_;
  WindowPlanner planner_;
  BadSampleLog log_;
  DataPosition position_;  // after the last step planned
  std::int64_t skip_steps_;
  std::int64_t steps_per_epoch_ = 1;
  std::deque<RankStep> planned_;
  std::size_t adopted_steps_ = 0;       // of the latest window
  std::size_t submitted_steps_ = 0;     // of those planned: all their pictures are in `loading_` or were taken
  std::size_t submitted_pictures_ = 0;  // of the step after them
  std::deque<std::future<LoadedPicture>> loading_;
  std::exception_ptr failure_;      // of planning
  std::exception_ptr failed_step_;  // of the step that next() was at
  std::future<Window> upcoming_;    // the last member: its thread uses the others
};

}  // namespace

std::unique_ptr<StepSource> open_step_source(const Lvlm& model, const Tokenizer& tokenizer,
                                             const StepSourceOptions& options, const DataPosition& start) {
  check_options(options);
  return std::make_unique<LlavaStepSource>(model, tokenizer, options, start);
}

}  // namespace striate

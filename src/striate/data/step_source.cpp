#include "striate/data/step_source.h"

#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <future>

#include "striate/data/picture_features.h"
#include "striate/data/planned_steps.h"
#include "striate/tensor/side_stream.h"
#include "striate/tensor/upload.h"

namespace striate {
namespace {

// What is decoded ahead of the model, at most.
constexpr std::int64_t kPixelBytesAhead = 400'000'000;
constexpr std::size_t kFewestPicturesAhead = 16;
constexpr std::size_t kMostPicturesAhead = 512;

std::uint64_t sample_key(const PlannedSample& planned) {
  return (static_cast<std::uint64_t>(planned.epoch) << 40) | static_cast<std::uint64_t>(planned.index);
}

class LlavaStepSource : public StepSource {
 public:
  LlavaStepSource(const Lvlm& model, std::unique_ptr<PlannedSteps> steps, std::int64_t device_cache_bytes)
      : model_(&model),
        steps_(std::move(steps)),
        options_(steps_->options()),
        side_(model.placement().device),
        pictures_(model, steps_->pictures(),
                  {.bytes = options_.pixels ? 0 : options_.feature_cache_bytes,
                   .folder = options_.pixels ? std::filesystem::path() : options_.feature_cache_folder,
                   .notes = options_.notes,
                   .device_bytes = options_.pixels ? 0 : device_cache_bytes},
                  steps_->pool()) {}

  ~LlavaStepSource() override { steps_->stop(); }

  TrainingStep next() override {
    steps_->wait();
    if (failed_step_) std::rethrow_exception(failed_step_);
    try {
      return assemble();
    } catch (...) {
      failed_step_ = std::current_exception();
      throw;
    }
  }

  std::int64_t samples_per_epoch() const override { return steps_->samples_per_epoch(); }
  std::int64_t steps_per_epoch() const override { return steps_->steps_per_epoch(); }

 private:
  // A step, from the front of what is planned. Its pictures are a GPU's work beside the step before.
  TrainingStep assemble() {
    TrainingStep step;
    {
      const SideStream::Section beside(side_);
      step = prepare();
    }
    for (const PackedBatch& stream : step.streams) side_.hand_over({stream.image_features, stream.pixels});
    return step;
  }

  TrainingStep prepare() {
    const std::size_t count = steps_->at(0).pictures.size();
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
    RankStep planned = steps_->take();
    if (submitted_steps_ > 0) {
      --submitted_steps_;
    } else {
      submitted_pictures_ = 0;
    }
    read_ahead();
    return pack_step(std::move(planned), std::move(looked));
  }

  TrainingStep pack_step(RankStep planned, std::vector<at::Tensor> looked) const {
    TrainingStep step = std::move(planned.whole);
    std::size_t picture = 0;
    for (std::vector<PlannedSample>& stream : planned.streams) {
      std::vector<Sample> samples;
      std::vector<at::Tensor> pixels;
      auto& names = step.sample_names.emplace_back();
      for (PlannedSample& member : stream) {
        names.push_back(sample_name(steps_->data(), member.index, member.sample.id));
        Sample& sample = samples.emplace_back();
        sample.input_ids = std::move(member.sample.input_ids);
        sample.labels = std::move(member.sample.labels);
        sample.key = sample_key(member);
        for (std::size_t i = 0; i < member.sample.images.size(); ++i, ++picture) {
          if (options_.pixels) pixels.push_back(looked[picture]);
          // Rows without columns: they hold the places of features that the caller makes of the pixels.
          sample.images.push_back(options_.pixels ? at::zeros({steps_->rows_per_image(), 0})
                                                  : std::move(looked[picture]));
        }
      }
      PackedBatch batch = pack(samples);
      if (!pixels.empty()) {
        batch.pixels = together(pixels);
        batch.image_features = at::Tensor();
      }
      step.streams.push_back(std::move(batch));
    }
    return step;
  }

  // [images, 3, S, S] on the device.
  at::Tensor together(const std::vector<at::Tensor>& pixels) const {
    const at::Device device = model_->placement().device;
    std::vector<std::int64_t> shape = pixels.front().sizes().vec();
    shape.insert(shape.begin(), static_cast<std::int64_t>(pixels.size()));
    at::Tensor all = empty_to_upload(shape, at::kFloat, device);
    return uploaded(at::stack_out(all, pixels), device);
  }

  std::size_t pictures_ahead() const {
    const std::int64_t side = pictures_.preprocess().size;
    const auto fit = static_cast<std::size_t>(kPixelBytesAhead / (3 * side * side * 4));
    return std::clamp(fit, kFewestPicturesAhead, kMostPicturesAhead);
  }

  // Keeps the threads busy: plans on when half a window is left, and has the next pictures loaded.
  void read_ahead() {
    steps_->plan_ahead();
    while (loading_.size() < pictures_ahead() && submitted_steps_ < steps_->size()) {
      const RankStep& step = steps_->at(submitted_steps_);
      if (submitted_pictures_ == step.pictures.size()) {
        ++submitted_steps_;
        submitted_pictures_ = 0;
        continue;
      }
      const std::string name = step.pictures[submitted_pictures_++];
      loading_.push_back(steps_->pool().submit(Urgency::kSoon, [this, name] {
        if (!options_.pixels) return pictures_.load(name);
        return LoadedPicture{name, {}, {}, pictures_.pixels(name)};
      }));
    }
  }

  const Lvlm* model_;
  std::unique_ptr<PlannedSteps> steps_;
  const StepSourceOptions& options_;  // those of the steps
  SideStream side_;
  PictureFeatures pictures_;
  std::size_t submitted_steps_ = 0;     // of those planned: all their pictures are in `loading_` or were taken
  std::size_t submitted_pictures_ = 0;  // of the step after them
  std::deque<std::future<LoadedPicture>> loading_;
  std::exception_ptr failed_step_;  // of the step that next() was at
};

}  // namespace

std::unique_ptr<StepSource> open_step_source(const Lvlm& model, std::unique_ptr<PlannedSteps> steps,
                                             std::int64_t device_cache_bytes) {
  return std::make_unique<LlavaStepSource>(model, std::move(steps), device_cache_bytes);
}

std::unique_ptr<StepSource> open_step_source(const Lvlm& model, const Tokenizer& tokenizer,
                                             const StepSourceOptions& options, const DataPosition& start) {
  return open_step_source(model, std::make_unique<PlannedSteps>(model.config(), tokenizer, options, start));
}

}  // namespace striate

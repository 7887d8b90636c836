// From a picture's name to its vision features, through the caches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "striate/data/feature_cache.h"
#include "striate/data/picture_folder.h"
#include "striate/data/worker_pool.h"
#include "striate/model/lvlm.h"

namespace striate {

// A picture on its way to the model: features from a cache, or pixels that the tower has to look at.
struct LoadedPicture {
  std::string name;       // its key in memory
  std::string stored_as;  // its key in the feature folder; "" without one
  at::Tensor features;    // [P, vision_hidden] on the CPU; undefined when in no cache
  at::Tensor pixels;      // [3, S, S] fp32, else
};

// The pictures under `images` and those `inside` the data, prepared as `preprocess` says; absent: by the tower's
// defaults and the model's padding.
PictureFolder picture_folder(const ModelConfig& config, const std::filesystem::path& images,
                             const std::optional<PreprocessConfig>& preprocess,
                             std::shared_ptr<const PictureSource> inside = nullptr);

// Where features are kept.
struct FeatureCaches {
  std::int64_t bytes = 0;        // in memory
  std::filesystem::path folder;  // empty: none
  Notes notes;                   // warned when the folder cannot be written
};

// What tells a tower, its weights, its compute type and its preprocessing from others: a hash of its configuration and
// of the features of a fixed picture, so that no change of a weight goes unnoticed. Differs between kinds of machines
// as their sums round.
std::string tower_identity(const Lvlm& model, const PreprocessConfig& preprocess);

// How many pictures the tower is given at once: always the same number, so that a picture's features do not depend on
// which others happen to be in the caches.
std::int64_t tower_batch(const VisionConfig& tower, bool on_gpu);

// Model and pool must outlive it. Pictures must not change while it lives.
class PictureFeatures {
 public:
  // A model without a vision tower has no pictures to load.
  PictureFeatures(const Lvlm& model, PictureFolder pictures, const FeatureCaches& caches, WorkerPool& pool);
  // Waits for the features that the pool is still writing to disk.
  ~PictureFeatures();
  PictureFeatures(const PictureFeatures&) = delete;
  PictureFeatures& operator=(const PictureFeatures&) = delete;

  // Both may be called from any thread. Throw BadSample.
  LoadedPicture load(const std::string& name);
  // The pixels alone, past all caches.
  at::Tensor pixels(const std::string& name) const;

  // Features of `count` pictures, in order, each [P, vision_hidden] in the compute type, on the CPU: takes one picture
  // after another from `next` and runs the tower on those that are in no cache. On the calling thread.
  std::vector<at::Tensor> features(std::size_t count, const std::function<LoadedPicture()>& next);

  // The tower changed: features in memory no longer hold.
  void forget() { memory_.clear(); }

  const PreprocessConfig& preprocess() const { return folder_.config(); }

 private:
  struct Waiting {
    std::size_t index;
    LoadedPicture picture;
  };
  void look(std::vector<Waiting>& waiting, std::vector<at::Tensor>& results);
  void keep(const LoadedPicture& picture, const at::Tensor& features);
  void finish_writes();

  const Lvlm* model_;
  WorkerPool* pool_;
  PictureFolder folder_;
  std::int64_t batch_;
  FeatureCache memory_;
  std::unique_ptr<FeatureFolder> stored_;
  std::vector<std::future<void>> writes_;
};

}  // namespace striate

// From a picture's name to its vision features, through the caches.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <deque>
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
  at::Tensor features;    // [P, vision_hidden] on the CPU or the model's device; undefined when in no cache
  at::Tensor pixels;      // [3, S, S] fp32, else
};

// The pictures under `images` and those `inside` the data, prepared as `preprocess` says; absent: by the tower's
// defaults and the model's padding.
PictureFolder picture_folder(const ModelConfig& config, const std::filesystem::path& images,
                             const std::optional<PreprocessConfig>& preprocess,
                             std::shared_ptr<const PictureSource> inside = nullptr);

// Where features are kept.
struct FeatureCaches {
  std::int64_t bytes = 0;         // in main memory, pinned where the model is on a GPU
  std::filesystem::path folder;   // empty: none
  Notes notes;                    // warned when the folder cannot be written
  std::int64_t device_bytes = 0;  // in a GPU's memory, looked into first
};

// What tells a tower, its weights, its compute type and its preprocessing from others: a hash of its configuration and
// of the features of a fixed picture, so that no change of a weight goes unnoticed. Differs between kinds of machines
// as their sums round, and on GPUs by the number of pictures that the tower looks at at once (tower_batch.h).
std::string tower_identity(const Lvlm& model, const PreprocessConfig& preprocess);

// Model and pool must outlive it. Pictures must not change while it lives.
class PictureFeatures {
 public:
  // A model without a vision tower has no pictures to load.
  PictureFeatures(const Lvlm& model, PictureFolder pictures, const FeatureCaches& caches, WorkerPool& pool);
  // All that was computed is on disk then, where a folder was given.
  ~PictureFeatures();
  PictureFeatures(const PictureFeatures&) = delete;
  PictureFeatures& operator=(const PictureFeatures&) = delete;

  // Both may be called from any thread. Throw BadSample.
  LoadedPicture load(const std::string& name);
  // The pixels alone, past all caches.
  at::Tensor pixels(const std::string& name) const;

  // Features of `count` pictures, in order, each [P, vision_hidden] in the compute type, on the model's device: takes
  // one picture after another from `next` and runs the tower on those that are in no cache. On the calling thread and
  // its stream, which must always be the same one. Never waits for a GPU: what is computed there comes back for the
  // caches while other work goes on.
  std::vector<at::Tensor> features(std::size_t count, const std::function<LoadedPicture()>& next);

  // The tower changed: features in memory no longer hold.
  void forget();

  const PreprocessConfig& preprocess() const { return folder_.config(); }

 private:
  struct Waiting {
    std::size_t index;
    LoadedPicture picture;
  };
  // Features that the pool is writing to disk.
  struct Write {
    std::string key;
    at::Tensor features;
    std::future<void> done;
  };
  // A batch on its way from a GPU to the caches.
  struct Arriving {
    at::Tensor there, here;  // [batch, P, vision_hidden]; `here`, in pinned memory, is valid once it `arrived`
    c10::Event arrived;
    std::vector<LoadedPicture> pictures;  // the first of the batch, in order; without pixels
  };
  // Features from pinned memory on their way to a GPU. Their slot is not filled anew before they `left` it.
  struct Leaving {
    at::Tensor here;
    c10::Event left;
  };
  bool keeps() const { return keeps_in_memory_ || stored_; }
  void look(std::vector<Waiting>& waiting, std::vector<at::Tensor>& results);
  void send_back(const at::Tensor& features, const std::vector<Waiting>& waiting);
  void keep_what_arrived();
  void keep_the_rest();
  at::Tensor known(const LoadedPicture& picture);
  at::Tensor sent(at::Tensor here);
  void keep(const LoadedPicture& picture, const at::Tensor& features);
  void finish_writes();

  const Lvlm* model_;
  WorkerPool* pool_;
  PictureFolder folder_;
  std::int64_t batch_;
  bool keeps_in_memory_;
  FeatureCache memory_;
  FeatureCache on_device_;
  std::unique_ptr<FeatureFolder> stored_;
  std::vector<Write> writes_;
  std::deque<Arriving> arriving_;
  std::deque<Leaving> leaving_;
};

}  // namespace striate

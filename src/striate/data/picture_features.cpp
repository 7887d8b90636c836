#include "striate/data/picture_features.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/data/tower_batch.h"
#include "striate/model/picture_settings.h"
#include "striate/tensor/device_memory.h"
#include "striate/tensor/upload.h"

namespace striate {
namespace {

at::Tensor to_tensor(const std::vector<float>& pixels, const PreprocessConfig& config) {
  at::Tensor tensor = at::empty({3, config.size, config.size}, at::TensorOptions(at::kFloat));
  std::memcpy(tensor.mutable_data_ptr(), pixels.data(), tensor.nbytes());
  return tensor;
}

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor values = tensor.cpu().contiguous();
  return std::string(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
}

std::string describe(const PreprocessConfig& config) {
  return cat(config.size, " ", static_cast<int>(config.resize), " ", config.pad_to_square, " ", config.mean[0], " ",
             config.mean[1], " ", config.mean[2], " ", config.std[0], " ", config.std[1], " ", config.std[2]);
}

std::string describe(const VisionConfig& c) {
  return cat(static_cast<int>(c.kind), " ", c.image_size, " ", c.patch_size, " ", c.hidden_size, " ", c.mlp_size, " ",
             c.layers, " ", c.heads, " ", c.layer_norm_eps, " ", static_cast<int>(c.activation), " ", c.feature_layer,
             " ", c.keep_class_token);
}

// 0: the model has no tower.
std::int64_t batch_of(const Lvlm& model) {
  if (!model.config().vision) return 0;
  const Placement& placement = model.placement();
  if (placement.device.is_cpu()) return tower_batch_on_cpu(*model.config().vision);
  return tower_batch_on_gpu(*model.config().vision, placement.compute, device_memory(placement.device).total);
}

// Reached when a GPU has done all that the calling thread has asked its stream for until now.
c10::Event reached_now(at::Device device) {
  c10::Event reached(device.type());
  reached.record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
  return reached;
}

}  // namespace

std::string tower_identity(const Lvlm& model, const PreprocessConfig& preprocess) {
  const RandomStream random(0, "picture that tells towers apart");
  at::Tensor pixels = at::empty({1, 3, preprocess.size, preprocess.size}, at::TensorOptions(at::kFloat));
  auto* values = static_cast<float*>(pixels.mutable_data_ptr());
  for (std::int64_t i = 0; i < pixels.numel(); ++i) {
    values[i] = static_cast<float>(4 * random.uniform(static_cast<std::uint64_t>(i)) - 2);
  }
  const std::string features = bytes_of(model.vision_features(pixels));
  const bool on_gpu = !model.placement().device.is_cpu();
  return sha256_of(cat(describe(model.config().vision.value()), "\n", describe(preprocess), "\n",
                       compute_name(model.placement().compute), "\n", sha256_of(features),
                       on_gpu ? cat("\nbatch ", batch_of(model)) : std::string()));
}

PictureFolder picture_folder(const ModelConfig& config, const std::filesystem::path& images,
                             const std::optional<PreprocessConfig>& preprocess,
                             std::shared_ptr<const PictureSource> inside) {
  if (!config.vision) return {images, {}, std::move(inside)};
  return {images, preprocess ? *preprocess : preprocess_config(config, {}), std::move(inside)};
}

PictureFeatures::PictureFeatures(const Lvlm& model, PictureFolder pictures, const FeatureCaches& caches,
                                 WorkerPool& pool)
    : model_(&model),
      pool_(&pool),
      folder_(std::move(pictures)),
      batch_(batch_of(model)),
      keeps_in_memory_(caches.bytes > 0),
      memory_(caches.bytes, model.placement().device.is_cpu() ? KeptAs::kCopies : KeptAs::kPinnedCopies),
      on_device_(model.placement().device.is_cpu() ? 0 : caches.device_bytes, KeptAs::kTensors) {
  if (!caches.folder.empty() && model.config().vision) {
    stored_ = std::make_unique<FeatureFolder>(caches.folder, tower_identity(model, folder_.config()), caches.notes);
  }
}

PictureFeatures::~PictureFeatures() {
  finish_writes();
  try {
    keep_the_rest();
    // Pinned memory goes back to LibTorch, which knows nothing of copies from slots.
    if (!leaving_.empty()) leaving_.back().left.synchronize();
  } catch (const std::exception&) {  // of a device that failed: what it computed is not kept
  }
}

void PictureFeatures::forget() {
  if (stored_) throw internal_error("features on disk of a tower that changes");
  arriving_.clear();
  memory_.clear();
  on_device_.clear();
}

void PictureFeatures::finish_writes() {
  for (const Write& write : writes_) write.done.wait();
}

LoadedPicture PictureFeatures::load(const std::string& name) {
  LoadedPicture picture{name, {}, on_device_.get(name), {}};
  if (!picture.features.defined()) picture.features = memory_.get(name);
  if (picture.features.defined()) return picture;
  const EncodedPicture encoded = folder_.open(name);
  if (stored_) {
    picture.stored_as = stored_->key(encoded.bytes);
    picture.features = stored_->get(picture.stored_as);
    if (picture.features.defined()) {
      picture.features = memory_.put(picture.name, picture.features);
      return picture;
    }
  }
  picture.pixels = to_tensor(folder_.pixels(encoded.bytes, encoded.place), folder_.config());
  return picture;
}

at::Tensor PictureFeatures::pixels(const std::string& name) const {
  const EncodedPicture encoded = folder_.open(name);
  return to_tensor(folder_.pixels(encoded.bytes, encoded.place), folder_.config());
}

std::vector<at::Tensor> PictureFeatures::features(std::size_t count, const std::function<LoadedPicture()>& next) {
  finish_writes();
  writes_.clear();
  keep_what_arrived();
  while (!leaving_.empty() && leaving_.front().left.query()) leaving_.pop_front();
  std::vector<at::Tensor> results(count);
  std::vector<Waiting> waiting;
  std::unordered_map<std::string, std::size_t> first;  // a picture shown twice is looked at once
  std::vector<std::size_t> same(count);
  for (std::size_t i = 0; i < count; ++i) {
    LoadedPicture picture = next();
    same[i] = first.try_emplace(picture.name, i).first->second;
    if (same[i] != i) continue;
    results[i] = known(picture);
    if (results[i].defined()) continue;
    waiting.push_back({i, std::move(picture)});
    if (static_cast<std::int64_t>(waiting.size()) == batch_) look(waiting, results);
  }
  if (!waiting.empty()) look(waiting, results);
  for (std::size_t i = 0; i < count; ++i) results[i] = results[same[i]];
  return results;
}

void PictureFeatures::look(std::vector<Waiting>& waiting, std::vector<at::Tensor>& results) {
  const std::int64_t side = folder_.config().size;
  const at::Device device = model_->placement().device;
  const at::Tensor pixels = empty_to_upload({batch_, 3, side, side}, at::kFloat, device);
  for (std::size_t i = 0; i < waiting.size(); ++i)
    pixels[static_cast<std::int64_t>(i)].copy_(waiting[i].picture.pixels);
  pixels.slice(0, static_cast<std::int64_t>(waiting.size())).zero_();
  const at::Tensor features = model_->vision_features(pixels);
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    // A copy: a view would hold the whole batch.
    results[waiting[i].index] = features[static_cast<std::int64_t>(i)].clone();
    on_device_.put(waiting[i].picture.name, results[waiting[i].index]);
    if (device.is_cpu()) keep(waiting[i].picture, results[waiting[i].index]);
  }
  if (!device.is_cpu() && keeps()) send_back(features, waiting);
  waiting.clear();
}

void PictureFeatures::send_back(const at::Tensor& features, const std::vector<Waiting>& waiting) {
  at::Tensor here = features.to(at::kCPU, features.scalar_type(), /*non_blocking=*/true);
  Arriving batch{features, std::move(here), reached_now(features.device()), {}};
  for (const Waiting& one : waiting) batch.pictures.push_back({one.picture.name, one.picture.stored_as, {}, {}});
  arriving_.push_back(std::move(batch));
}

void PictureFeatures::keep_what_arrived() {
  while (!arriving_.empty() && arriving_.front().arrived.query()) {
    const Arriving& batch = arriving_.front();
    for (std::size_t i = 0; i < batch.pictures.size(); ++i) {
      const at::Tensor features = batch.here[static_cast<std::int64_t>(i)];
      // A copy: a view would hold the whole batch until it is written.
      keep(batch.pictures[i], stored_ ? features.clone() : features);
    }
    arriving_.pop_front();
  }
}

// At the end: waits for what is on its way. The pool may have stopped before it wrote all that it was given.
void PictureFeatures::keep_the_rest() {
  for (Write& write : writes_) {
    try {
      write.done.get();
    } catch (const std::future_error&) {
      stored_->put(write.key, write.features);
    }
  }
  for (const Arriving& batch : arriving_) {
    if (!stored_) return;
    batch.arrived.synchronize();
    for (std::size_t i = 0; i < batch.pictures.size(); ++i) {
      stored_->put(batch.pictures[i].stored_as, batch.here[static_cast<std::int64_t>(i)]);
    }
  }
}

// A picture's features on the device; undefined where the tower has to look at it.
at::Tensor PictureFeatures::known(const LoadedPicture& picture) {
  // Looked at since it was loaded, perhaps.
  at::Tensor kept = on_device_.get(picture.name);
  if (kept.defined()) return kept;
  kept = picture.features.defined() ? picture.features : memory_.get(picture.name);
  if (kept.defined()) return on_device_.put(picture.name, sent(std::move(kept)));
  for (const Arriving& batch : arriving_) {
    for (std::size_t i = 0; i < batch.pictures.size(); ++i) {
      if (batch.pictures[i].name == picture.name) return batch.there[static_cast<std::int64_t>(i)].clone();
    }
  }
  return {};
}

// Features of a cache, or of a file, on the device.
at::Tensor PictureFeatures::sent(at::Tensor here) {
  const at::Device device = model_->placement().device;
  at::Tensor there = uploaded(here, device);
  if (!device.is_cpu() && here.is_cpu() && here.is_pinned()) leaving_.push_back({std::move(here), reached_now(device)});
  return there;
}

void PictureFeatures::keep(const LoadedPicture& picture, const at::Tensor& features) {
  memory_.put(picture.name, features);
  if (!stored_) return;
  const std::string key = picture.stored_as;
  writes_.push_back(
      {key, features, pool_->submit(Urgency::kSoon, [this, key, features] { stored_->put(key, features); })});
}

}  // namespace striate

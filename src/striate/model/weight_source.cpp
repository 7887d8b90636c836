#include "striate/model/weight_source.h"

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"

namespace striate {
namespace {

std::optional<Naming> naming_of(const std::string& name) {
  if (name.starts_with("language_model.model.")) return Naming::kLlavaHf;
  if (name.starts_with("model.language_model.")) return Naming::kLlavaHfNew;
  if (name.starts_with("model.layers.")) return Naming::kOriginal;
  return std::nullopt;
}

std::string what_to_give(const std::string& canonical) {
  if (canonical.starts_with("vision.")) return "give the vision tower with `vision_tower` DIR";
  if (canonical.starts_with("projector.")) return "give the projector with `projector` FILE";
  return "the checkpoint is incomplete: check that all its files were downloaded";
}

}  // namespace

void WeightSource::add(std::shared_ptr<const WeightFile> file) {
  for (const TensorInfo& info : file->tensors()) {
    const auto canonical = canonical_name(info.name);
    if (!canonical) {
      unknown_.push_back({&info, file});
      continue;
    }
    if (!naming_) naming_ = naming_of(info.name);
    entries_[*canonical] = Entry{&info, file};
  }
  files_.push_back(std::move(file));
}

const WeightSource::Entry* WeightSource::find(const std::string& canonical) const {
  const auto found = entries_.find(canonical);
  return found == entries_.end() ? nullptr : &found->second;
}

at::Tensor WeightSource::load(const std::string& canonical, const std::vector<std::int64_t>& shape) const {
  const Entry* entry = find(canonical);
  if (entry == nullptr) {
    const std::string where = files_.empty()                      ? "no weights"
                              : files_.front()->tensors().empty() ? "an empty checkpoint"
                                                                  : files_.front()->tensors().front().file.string();
    throw corrupt_data(cat(where, ": tensor ", canonical, " is missing"), what_to_give(canonical));
  }
  const TensorInfo& info = *entry->info;
  if (info.shape != shape) {
    throw corrupt_data(cat(info.file.string(), ": tensor ", info.name, " is ", shape_text(info.shape),
                           ", but config.json says ", shape_text(shape)),
                       "config.json and weights belong to different models");
  }
  if (info.dtype != at::kFloat && info.dtype != at::kHalf && info.dtype != at::kBFloat16) {
    throw unsupported(cat(info.file.string(), ": tensor ", info.name, " is ", c10::toString(info.dtype)),
                      "weights are F32, F16 or BF16");
  }
  return entry->file->load(info.name);
}

std::optional<at::Tensor> WeightSource::load_optional(const std::string& canonical,
                                                      const std::vector<std::int64_t>& shape) const {
  if (find(canonical) == nullptr) return std::nullopt;
  return load(canonical, shape);
}

}  // namespace striate

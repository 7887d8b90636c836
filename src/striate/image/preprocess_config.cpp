// Hugging Face's preprocessor_config.json, as CLIPImageProcessor and SiglipImageProcessor read it.
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/image/image.h"

namespace striate {
namespace {

using Json = nlohmann::json;

constexpr int kMaxSize = 8192;
constexpr int kBicubic = 3;  // PIL.Image.Resampling.BICUBIC
constexpr const char* kHint = "give the preprocessor_config.json of a CLIP or SigLIP vision tower";

// The file's keys with their types checked; errors name file and key.
class Settings {
 public:
  Settings(const Json& root, std::string where) : root_(root), where_(std::move(where)) {
    if (!root_.is_object()) throw corrupt_data(where_ + ": not a JSON object", kHint);
  }

  Error corrupt(const std::string& key, const std::string& what) const {
    return corrupt_data(cat(where_, ": \"", key, "\" ", what), kHint);
  }
  Error refused(const std::string& key, const std::string& what) const {
    return unsupported(cat(where_, ": \"", key, "\" ", what), kHint);
  }

  // null where the key is absent or null.
  const Json& get(const std::string& key) const {
    static const Json kNull;
    const auto found = root_.find(key);
    return found == root_.end() ? kNull : *found;
  }

  bool flag(const std::string& key, bool otherwise) const {
    const Json& value = get(key);
    if (value.is_null()) return otherwise;
    if (!value.is_boolean()) throw corrupt(key, "is not true or false");
    return value.get<bool>();
  }

  std::string text(const std::string& key) const {
    const Json& value = get(key);
    if (value.is_null()) return {};
    if (!value.is_string()) throw corrupt(key, "is not a string");
    return value.get<std::string>();
  }

  int pixels(const std::string& key, const Json& value) const {
    if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > kMaxSize) {
      throw corrupt(key, cat("is not a number of pixels from 1 to ", kMaxSize));
    }
    return value.get<int>();
  }

  void channels(const std::string& key, std::array<float, 3>& out, bool positive) const;

 private:
  const Json& root_;
  std::string where_;
};

void Settings::channels(const std::string& key, std::array<float, 3>& out, bool positive) const {
  const Json& value = get(key);
  if (value.is_null()) return;
  if (!value.is_array() || value.size() != 3) throw corrupt(key, "is not a list of 3 numbers");
  for (std::size_t c = 0; c < 3; ++c) {
    if (!value[c].is_number()) throw corrupt(key, "is not a list of 3 numbers");
    out[c] = value[c].get<float>();
    if (!std::isfinite(out[c]) || (positive && out[c] <= 0)) throw corrupt(key, "holds a number that is not allowed");
  }
}

struct Size {
  int pixels;
  ResizeMode mode;
};

// `size` or `crop_size`: a number, {"shortest_edge"} or {"height", "width"}; a bare number means `bare`.
std::optional<Size> read_size(const Settings& settings, const std::string& key, ResizeMode bare) {
  const Json& value = settings.get(key);
  if (value.is_null()) return std::nullopt;
  if (value.is_number()) return Size{settings.pixels(key, value), bare};
  if (!value.is_object()) throw settings.corrupt(key, "is neither a number nor an object");
  const auto has = [&](const char* side) { return value.contains(side) && !value[side].is_null(); };
  if (has("shortest_edge")) {
    if (has("longest_edge")) {
      throw settings.refused(key, "has a longest_edge, which is not supported");
    }
    return Size{settings.pixels(key, value["shortest_edge"]), ResizeMode::kShortestEdge};
  }
  if (!has("height") || !has("width")) {
    throw settings.corrupt(key, "has neither shortest_edge nor height and width");
  }
  const int height = settings.pixels(key, value["height"]);
  if (height != settings.pixels(key, value["width"])) throw settings.refused(key, "is not square");
  return Size{height, ResizeMode::kExact};
}

enum class ProcessorKind { kClip, kSiglip, kLlava };

// The class that transformers would use, whichever of its spellings (Fast, Pil, FeatureExtractor); CLIP's without one.
ProcessorKind processor_kind(const Settings& settings) {
  std::string key = "image_processor_type";
  if (settings.text(key).empty()) key = "feature_extractor_type";
  const std::string kind = settings.text(key);
  if (kind.empty()) return ProcessorKind::kClip;
  for (const auto& [stem, result] :
       {std::pair("CLIP", ProcessorKind::kClip), std::pair("Siglip", ProcessorKind::kSiglip),
        std::pair("Llava", ProcessorKind::kLlava)}) {
    for (const char* rest : {"ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor"}) {
      if (kind == cat(stem, rest)) return result;
    }
  }
  throw settings.refused(key,
                         cat("is ", kind.substr(0, 60), ", which prepares pictures in a way that is not supported"));
}

void require_usual_steps(const Settings& settings) {
  for (const char* key : {"do_resize", "do_rescale"}) {
    if (!settings.flag(key, true))
      throw settings.refused(key, "is false: pictures are always resized and scaled to 0..1");
  }
  const Json& resample = settings.get("resample");
  if (!resample.is_null() && (!resample.is_number_integer() || resample.get<std::int64_t>() != kBicubic)) {
    throw settings.refused("resample", cat("is ", resample.dump(), ": only 3 (bicubic) is supported"));
  }
  const Json& factor = settings.get("rescale_factor");
  if (!factor.is_null() && (!factor.is_number() || std::abs(factor.get<double>() * 255 - 1) > 1e-6)) {
    throw settings.refused("rescale_factor", cat("is ", factor.dump(), ": only 1/255 is supported"));
  }
}

}  // namespace

PreprocessConfig PreprocessConfig::from_file(const std::filesystem::path& path) {
  return from_json(read_json_file(path), path.string());
}

PreprocessConfig PreprocessConfig::from_json(const Json& json, const std::string& where) {
  const Settings settings(json, where);
  const bool siglip = processor_kind(settings) == ProcessorKind::kSiglip;
  PreprocessConfig config = siglip ? PreprocessConfig::siglip(224) : PreprocessConfig::clip(224);
  require_usual_steps(settings);
  if (const auto size = read_size(settings, "size", config.resize)) {
    config.size = size->pixels;
    config.resize = size->mode;
  }
  const bool crop = settings.flag("do_center_crop", !siglip);
  if (crop) {
    const auto crop_size = read_size(settings, "crop_size", ResizeMode::kExact);
    if ((crop_size ? crop_size->pixels : 224) != config.size) {
      throw settings.refused("crop_size",
                             cat("differs from the size of ", config.size, " that pictures are resized to"));
    }
  } else if (config.resize == ResizeMode::kShortestEdge) {
    throw settings.refused("do_center_crop",
                           "is false, and the size is that of the shortest edge: the result would not be square");
  }
  if (settings.flag("do_normalize", true)) {
    settings.channels("image_mean", config.mean, false);
    settings.channels("image_std", config.std, true);
  } else {
    config.mean = {0, 0, 0};
    config.std = {1, 1, 1};
  }
  return config;
}

}  // namespace striate

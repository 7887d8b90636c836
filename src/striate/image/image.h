// Pictures: decoding, and pixels as the vision tower expects them.
//
// The reference is Pillow with the Hugging Face CLIP/SigLIP processors and LLaVA's expand2square; see
// docs/images.md for what is the same bit for bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace striate {

// 8-bit RGB, rows top to bottom, 3 bytes a pixel, no padding between rows.
struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;
};

struct DecodeLimits {
  std::uint64_t max_pixels = 178'956'970;  // Pillow's own bound against decompression bombs
};

// Decodes JPEG, PNG, WebP, GIF (first frame) or BMP, told apart by their first bytes, as Pillow's
// Image.open(f).convert("RGB") does: EXIF orientation not applied, alpha dropped without compositing.
// `name` is what errors call the picture. Throws CorruptData (truncated, empty, damaged, not an image), Unsupported.
Image decode_image(std::span<const std::byte> bytes, const std::string& name, const DecodeLimits& limits = {});
// The same of a file. Throws InvalidInput when it cannot be read.
Image load_image(const std::filesystem::path& path, const DecodeLimits& limits = {});

enum class ResizeMode {
  kShortestEdge,  // CLIP: the short side becomes `size`, then a centre crop of `size` x `size`
  kExact,         // SigLIP: both sides become `size`
};

// What a vision tower wants of a picture.
struct PreprocessConfig {
  int size = 336;
  ResizeMode resize = ResizeMode::kShortestEdge;
  bool pad_to_square = true;  // LLaVA's image_aspect_ratio "pad": fill with the mean colour
  std::array<float, 3> mean{0.48145466F, 0.4578275F, 0.40821073F};
  std::array<float, 3> std{0.26862954F, 0.26130258F, 0.27577711F};

  static PreprocessConfig clip(int size = 336);
  static PreprocessConfig siglip(int size = 384);
  // From a Hugging Face preprocessor_config.json of CLIP's, SigLIP's or LLaVA's processor; padding is not read from it
  // (model/picture_settings.h). Throws CorruptData or Unsupported, naming the key.
  static PreprocessConfig from_file(const std::filesystem::path& path);
  // The same of an object read already (processor_config.json's "image_processor"); `where` is what errors call it.
  static PreprocessConfig from_json(const nlohmann::json& json, const std::string& where);
};

// Antialiased bicubic resize (a = -0.5), bit for bit Pillow's Image.resize(BICUBIC): two passes, each rounded and
// clipped to 8 bits, 22-bit coefficients.
Image resize_bicubic(const Image& image, int width, int height);

// Everything before normalisation: pad, resize, crop; `config.size` x `config.size`.
Image fit_image(const Image& image, const PreprocessConfig& config);

// [3, size, size] float32, channel by channel: (value / 255 - mean) / std.
std::vector<float> preprocess(const Image& image, const PreprocessConfig& config);

}  // namespace striate

// A picture of any format, decoded and fitted to a small vision tower. Pictures are held to a size that takes little
// time under the sanitizers, so that many are tried; the program's own limits are tested in tests/image.
#include <algorithm>

#include "striate/base/error.h"
#include "striate/image/image.h"
#include "support.h"

namespace {

constexpr std::uint64_t kPixels = 1 << 20;
constexpr int kSide = 2048;  // of a picture that is fitted

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace striate;
  const std::string_view input = fuzz::bytes_of(data, size);
  fuzz::read_or_refuse(input, [&] {
    const Image image =
        decode_image(std::as_bytes(std::span(data, size)), "the picture", DecodeLimits{.max_pixels = kPixels});
    const auto pixels = static_cast<std::uint64_t>(image.width) * static_cast<std::uint64_t>(image.height);
    if (pixels == 0 || image.rgb.size() != 3 * pixels) fuzz::found("a picture whose pixels do not fill it");
    if (std::max(image.width, image.height) > kSide) return;
    for (PreprocessConfig config : {PreprocessConfig::clip(28), PreprocessConfig::siglip(28)}) {
      config.pad_to_square = config.resize == ResizeMode::kExact;
      if (preprocess(image, config).size() != 3 * 28 * 28) fuzz::found("a fitted picture of the wrong size");
    }
  });
  return 0;
}

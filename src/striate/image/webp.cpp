// WebP by libwebp: the first frame on its canvas, alpha dropped.
#include <webp/demux.h>

#include <memory>

#include "striate/base/strings.h"
#include "striate/image/decoders.h"

namespace striate {

Image decode_webp(const EncodedImage& file) {
  const WebPData data{file.data(), file.size()};
  const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(WebPDemux(&data), WebPDemuxDelete);
  if (demuxer == nullptr) {
    constexpr std::size_t kRiffHeader = 8;
    const std::uint8_t* size = file.data() + 4;
    const std::uint64_t claimed = (size[0] | size[1] << 8 | size[2] << 16 | std::uint64_t{size[3]} << 24) + kRiffHeader;
    if (claimed > file.size()) throw truncated_image(file, "WebP");
    throw damaged_image(file, "WebP", "its chunks do not fit together");
  }
  Image image = new_image(WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH),
                          WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT), file, kMostPixelsPerByte);
  WebPAnimDecoderOptions options;
  WebPAnimDecoderOptionsInit(&options);
  options.color_mode = MODE_RGBA;
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(WebPAnimDecoderNew(&data, &options),
                                                                             WebPAnimDecoderDelete);
  std::uint8_t* rgba = nullptr;
  int timestamp = 0;
  if (decoder == nullptr || WebPAnimDecoderGetNext(decoder.get(), &rgba, &timestamp) == 0) {
    throw damaged_image(file, "WebP", "its picture cannot be decoded");
  }
  const std::size_t pixels = image.rgb.size() / 3;
  for (std::size_t i = 0; i < pixels; ++i) {
    for (std::size_t c = 0; c < 3; ++c) image.rgb[3 * i + c] = rgba[4 * i + c];
  }
  return image;
}

}  // namespace striate

#include "striate/image/jpeg_encoder.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/image/samples.h"

namespace striate {
namespace {

// A picture whose colours change slowly from left to right and from top to bottom.
Image smooth(int width, int height) {
  Image image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.rgb.push_back(static_cast<std::uint8_t>(255 * x / width));
      image.rgb.push_back(static_cast<std::uint8_t>(255 * y / height));
      image.rgb.push_back(128);
    }
  }
  return image;
}

TEST(JpegEncoder, APictureComesBackNearlyAsItWas) {
  const Image image = smooth(61, 37);
  const std::string bytes = encode_jpeg(image, 95);
  EXPECT_EQ(bytes, encode_jpeg(image, 95));
  EXPECT_LT(encode_jpeg(image, 50).size(), bytes.size());
  const Image again = test::decode(bytes);
  ASSERT_EQ(again.width, 61);
  ASSERT_EQ(again.height, 37);
  for (std::size_t i = 0; i < image.rgb.size(); ++i) EXPECT_LE(std::abs(image.rgb[i] - again.rgb[i]), 12) << i;
}

TEST(JpegEncoder, APictureThatCannotBeAJpegIsRefused) {
  EXPECT_THROW(encode_jpeg(Image{}), Error);
  EXPECT_THROW(encode_jpeg({70'000, 1, std::vector<std::uint8_t>(210'000)}), Error);
}

TEST(ShrunkTo, TheLongerSideDecidesAndSmallPicturesStay) {
  const Image wide = shrunk_to(smooth(100, 50), 40);
  EXPECT_EQ(wide.width, 40);
  EXPECT_EQ(wide.height, 20);
  EXPECT_EQ(shrunk_to(smooth(2, 900), 90).height, 90);
  EXPECT_EQ(shrunk_to(smooth(2, 900), 90).width, 1);  // never 0
  EXPECT_EQ(shrunk_to(smooth(30, 20), 40).rgb, smooth(30, 20).rgb);
}

}  // namespace
}  // namespace striate

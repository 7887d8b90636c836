// Corners of the formats that the reference pictures do not reach, in files made byte by byte.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/image/samples.h"

namespace striate::test {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

std::string bytes_of(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out += static_cast<char>(value);
  return out;
}

std::vector<int> levels(const std::string& file) {
  const Image image = decode(file);
  return {image.rgb.begin(), image.rgb.end()};
}

// Blue, green, red, unused.
const std::string kPalette = bytes_of({1, 2, 3, 0, 40, 50, 60, 0, 7, 8, 9, 0});
constexpr std::array<int, 3> kFirst{3, 2, 1};
constexpr std::array<int, 3> kSecond{60, 50, 40};
constexpr std::array<int, 3> kThird{9, 8, 7};

std::vector<int> colours(std::initializer_list<std::array<int, 3>> pixels) {
  std::vector<int> out;
  for (const auto& pixel : pixels) out.insert(out.end(), pixel.begin(), pixel.end());
  return out;
}

TEST(Bmp, RowsRunFromTheBottomOrFromTheTopWithANegativeHeight) {
  const std::string rows = bytes_of({1, 2, 3, 0, 4, 5, 6, 0});  // two rows of one pixel, padded to 4 bytes
  EXPECT_THAT(levels(bmp_file({.width = 1, .height = 2, .pixels = rows})), ElementsAre(6, 5, 4, 3, 2, 1));
  EXPECT_THAT(levels(bmp_file({.width = 1, .height = -2, .pixels = rows})), ElementsAre(3, 2, 1, 6, 5, 4));
}

TEST(Bmp, PaletteIndicesOfOneFourAndEightBits) {
  const BmpFile file{.width = 3, .height = 1, .masks_or_palette = kPalette, .colours = 3};
  BmpFile one = file;
  one.bits = 1;
  one.pixels = bytes_of({0b10100000, 0, 0, 0});
  EXPECT_THAT(levels(bmp_file(one)), ElementsAreArray(colours({kSecond, kFirst, kSecond})));
  BmpFile four = file;
  four.bits = 4;
  four.pixels = bytes_of({0x21, 0x00, 0, 0});
  EXPECT_THAT(levels(bmp_file(four)), ElementsAreArray(colours({kThird, kSecond, kFirst})));
  BmpFile eight = file;
  eight.bits = 8;
  eight.pixels = bytes_of({2, 0, 200, 0});  // beyond the palette: black
  EXPECT_THAT(levels(bmp_file(eight)), ElementsAreArray(colours({kThird, kFirst, {0, 0, 0}})));
}

TEST(Bmp, SixteenBitsAreFiveFiveFiveOrAsTheMasksSay) {
  const std::string pixels = little16(0x7C00 | 0x0010) + little16(0);
  EXPECT_THAT(levels(bmp_file({.width = 1, .height = 1, .bits = 16, .pixels = pixels})), ElementsAre(255, 0, 131));
  const std::string masks = little32(0xF800) + little32(0x07E0) + little32(0x001F);
  EXPECT_THAT(levels(bmp_file({.width = 1,
                               .height = 1,
                               .bits = 16,
                               .compression = 3,
                               .masks_or_palette = masks,
                               .pixels = little16(0xF800 | 0x0020) + little16(0)})),
              ElementsAre(255, 4, 0));
}

TEST(Bmp, ThirtyTwoBitsFollowTheirMasks) {
  EXPECT_THAT(levels(bmp_file({.width = 1, .height = 1, .bits = 32, .pixels = bytes_of({1, 2, 3, 4})})),
              ElementsAre(3, 2, 1));
  const std::string masks = little32(0xFF) + little32(0xFF00) + little32(0xFF0000);
  EXPECT_THAT(levels(bmp_file({.width = 1,
                               .height = 1,
                               .bits = 32,
                               .compression = 3,
                               .masks_or_palette = masks,
                               .pixels = bytes_of({1, 2, 3, 4})})),
              ElementsAre(1, 2, 3));
}

TEST(Bmp, RunsOfEightBitsWithLiteralsAndLineEnds) {
  // Row 0: three of colour 1; row 1: literals 2, 0, 1 and their padding.
  const std::string pixels = bytes_of({3, 1, 0, 0, 0, 3, 2, 0, 1, 0, 0, 1});
  EXPECT_THAT(levels(bmp_file({.width = 3,
                               .height = 2,
                               .bits = 8,
                               .compression = 1,
                               .masks_or_palette = kPalette,
                               .colours = 3,
                               .pixels = pixels})),
              ElementsAreArray(colours({kThird, kFirst, kSecond, kSecond, kSecond, kSecond})));
}

TEST(Bmp, RunsOfFourBitsAlternate) {
  EXPECT_THAT(levels(bmp_file({.width = 3,
                               .height = 1,
                               .bits = 4,
                               .compression = 2,
                               .masks_or_palette = kPalette,
                               .colours = 3,
                               .pixels = bytes_of({3, 0x12, 0, 1})})),
              ElementsAreArray(colours({kSecond, kThird, kSecond})));
}

TEST(Bmp, AnOddNumberOfFourBitLiteralsIsReadWhole) {
  // Three literals in two bytes: the header before them is of even length, so no padding follows.
  EXPECT_THAT(levels(bmp_file({.width = 3,
                               .height = 1,
                               .bits = 4,
                               .compression = 2,
                               .masks_or_palette = kPalette,
                               .colours = 3,
                               .pixels = bytes_of({0, 3, 0x21, 0x20, 0, 1})})),
              ElementsAreArray(colours({kThird, kSecond, kThird})));
}

TEST(Bmp, WhatTheRunsLeaveOutIsTheFirstColour) {
  EXPECT_THAT(levels(bmp_file({.width = 3,
                               .height = 1,
                               .bits = 8,
                               .compression = 1,
                               .masks_or_palette = kPalette,
                               .colours = 3,
                               .pixels = bytes_of({1, 2, 0, 2, 1, 0, 1, 1, 0, 1})})),
              ElementsAreArray(colours({kThird, kFirst, kSecond})));
  EXPECT_THAT(levels(bmp_file({.width = 3,
                               .height = 1,
                               .bits = 8,
                               .compression = 1,
                               .masks_or_palette = kPalette,
                               .colours = 3,
                               .pixels = bytes_of({1, 2, 0, 1})})),
              ElementsAreArray(colours({kThird, kFirst, kFirst})));
}

TEST(Bmp, AnOddDepthOrCompressionIsUnsupported) {
  EXPECT_EQ(decode_error(bmp_file({.bits = 2}))->kind(), ErrorKind::kUnsupported);
  EXPECT_EQ(decode_error(bmp_file({.bits = 24, .compression = 4}))->kind(), ErrorKind::kUnsupported);
  EXPECT_EQ(decode_error(bmp_file({.bits = 24, .compression = 1}))->kind(), ErrorKind::kUnsupported);
}

TEST(Png, GreyOfOneTwoAndFourBitsSpreadsOverAllLevels) {
  EXPECT_THAT(levels(png_file({.width = 2, .depth = 1}, bytes_of({0, 0b01000000}))),
              ElementsAre(0, 0, 0, 255, 255, 255));
  EXPECT_THAT(levels(png_file({.width = 2, .depth = 2}, bytes_of({0, 0b01100000}))),
              ElementsAre(85, 85, 85, 170, 170, 170));
  EXPECT_THAT(levels(png_file({.width = 2, .depth = 4}, bytes_of({0, 0x1F}))), ElementsAre(17, 17, 17, 255, 255, 255));
}

TEST(Png, SixteenBitGreyIsClippedAndWithAlphaKeepsTheHighByte) {
  EXPECT_THAT(levels(png_file({.width = 2, .depth = 16}, bytes_of({0, 0, 77, 1, 0}))),
              ElementsAre(77, 77, 77, 255, 255, 255));
  EXPECT_THAT(levels(png_file({.width = 1, .depth = 16, .colour_type = 4}, bytes_of({0, 5, 77, 1, 0}))),
              ElementsAre(5, 5, 5));
}

TEST(Png, AlphaIsDroppedNotComposited) {
  EXPECT_THAT(levels(png_file({.depth = 8, .colour_type = 6}, bytes_of({0, 10, 20, 30, 0}))), ElementsAre(10, 20, 30));
  const std::string transparent = png_chunk("PLTE", bytes_of({1, 2, 3})) + png_chunk("tRNS", bytes_of({0}));
  EXPECT_THAT(levels(png_file({.depth = 8, .colour_type = 3}, bytes_of({0, 0}), transparent)), ElementsAre(1, 2, 3));
}

TEST(Png, AnIndexBeyondThePaletteIsBlack) {
  const std::string palette = png_chunk("PLTE", bytes_of({1, 2, 3}));
  EXPECT_THAT(levels(png_file({.width = 2, .depth = 8, .colour_type = 3}, bytes_of({0, 0, 128}), palette)),
              ElementsAre(1, 2, 3, 0, 0, 0));
}

TEST(Png, InterlacedRowsComeTogether) {
  // Of a 2 x 2 picture the passes hold: (0,0); (1,0); the row below.
  EXPECT_THAT(levels(png_file({.width = 2, .height = 2, .depth = 8, .colour_type = 0, .interlaced = true},
                              bytes_of({0, 1, 0, 2, 0, 3, 4}))),
              ElementsAre(1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4));
  EXPECT_THAT(levels(png_file({.width = 2, .height = 2, .depth = 1, .colour_type = 0, .interlaced = true},
                              bytes_of({0, 0x80, 0, 0, 0, 0x40}))),
              ElementsAre(255, 255, 255, 0, 0, 0, 0, 0, 0, 255, 255, 255));
}

TEST(Png, AWrongChecksumIsCorrupt) {
  std::string file = png_file({.width = 1}, bytes_of({0, 9}));
  file[16] ^= 1;  // in the width
  EXPECT_EQ(decode_error(file)->kind(), ErrorKind::kCorruptData);
}

TEST(Gif, TheFrameStandsOnItsScreenInTheLocalPaletteElseTheGlobal) {
  const std::string global = bytes_of({9, 8, 7, 1, 2, 3});
  const std::string local = bytes_of({90, 80, 70, 10, 20, 30});
  EXPECT_THAT(levels(gif_file({.global_palette = global})), ElementsAre(9, 8, 7, 1, 2, 3));
  EXPECT_THAT(levels(gif_file({.global_palette = global, .local_palette = local})),
              ElementsAre(90, 80, 70, 10, 20, 30));
  EXPECT_THAT(levels(gif_file({})), ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST(Gif, TheScreenAroundTheFrameHasTheTransparentColour) {
  const std::string global = bytes_of({9, 8, 7, 1, 2, 3});
  const std::string control = bytes_of({0x21, 0xF9, 4, 1, 0, 0, 1, 0});
  EXPECT_THAT(levels(gif_file({.global_palette = global, .extensions = control})), ElementsAre(1, 2, 3, 1, 2, 3));
}

TEST(Gif, AFrameBeyondItsScreenMakesTheScreenLarger) {
  const Image image =
      decode(gif_file({.screen_width = 1, .frame_left = 4, .global_palette = bytes_of({9, 8, 7, 1, 2, 3})}));
  EXPECT_EQ(image.width, 5);
  EXPECT_EQ(image.height, 1);
}

TEST(Jpeg, GreyIsTheSameInAllChannels) {
  const Image image = decode(jpeg_file());
  ASSERT_EQ(image.rgb.size(), 8U * 8 * 3);
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    EXPECT_EQ(image.rgb[i], image.rgb[i + 1]);
    EXPECT_EQ(image.rgb[i], image.rgb[i + 2]);
  }
  EXPECT_LT(image.rgb[0], 20);
  EXPECT_GT(image.rgb[7 * 3], 235);
}

}  // namespace
}  // namespace striate::test

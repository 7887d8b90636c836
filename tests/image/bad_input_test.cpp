// What is not a whole, sound picture is refused with one line and a hint; nothing crashes or allocates what a header
// merely claims.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <random>
#include <thread>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/image/picture_turn.h"
#include "tests/image/samples.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// A picture's error: one line, a hint, and exit code 2.
void expect_refused(const std::optional<Error>& error, ErrorKind kind, const std::string& says) {
  ASSERT_TRUE(error.has_value()) << "it decoded";
  EXPECT_EQ(error->kind(), kind) << error->what();
  EXPECT_EQ(error->exit_code(), 2);
  EXPECT_THAT(error->what(), HasSubstr(says));
  EXPECT_THAT(error->what(), HasSubstr("picture: "));
  EXPECT_THAT(error->what(), Not(HasSubstr("\n")));
  EXPECT_FALSE(error->hint().empty());
}

TEST(BadPicture, AnEmptyFileIsRefused) {
  expect_refused(decode_error(""), ErrorKind::kCorruptData, "empty");
}

TEST(BadPicture, ATextFileIsRefusedWithoutShowingWhatIsInIt) {
  const std::optional<Error> error = decode_error("root:x:0:0");
  expect_refused(error, ErrorKind::kCorruptData, "not a picture");
  EXPECT_EQ(std::string(error->what()), "picture: not a picture");
}

TEST(BadPicture, WhatADownloadLeavesInPlaceOfAPictureIsNamed) {
  expect_refused(decode_error("<!DOCTYPE html><html>404"), ErrorKind::kCorruptData, "a web page");
  expect_refused(decode_error("version https://git-lfs.github.com/spec/v1"), ErrorKind::kCorruptData, "Git LFS");
}

TEST(BadPicture, OneByteIsRefused) {
  expect_refused(decode_error("B"), ErrorKind::kCorruptData, "not a picture");
}

TEST(BadPicture, OtherFormatsAreNamed) {
  expect_refused(decode_error(std::string("II*\0abcdef", 10)), ErrorKind::kUnsupported, "TIFF");
  expect_refused(decode_error(std::string("\0\0\0\x1c"
                                          "ftypavif",
                                          12)),
                 ErrorKind::kUnsupported, "AVIF");
  expect_refused(decode_error("%PDF-1.7"), ErrorKind::kUnsupported, "PDF");
}

TEST(BadPicture, AMagicFollowedByGarbageIsRefused) {
  const std::vector<std::string> magics{"\xFF\xD8\xFF", "\x89PNG\r\n\x1A\n", std::string("RIFF\0\1\0\0WEBPVP8 ", 16),
                                        "GIF89a", "BM"};
  std::mt19937 random(1);
  for (const std::string& magic : magics) {
    for (int round = 0; round < 50; ++round) {
      std::string bytes = magic;
      for (int i = 0; i < 300; ++i) bytes += static_cast<char>(random() & 0xFF);
      EXPECT_TRUE(decode_error(bytes).has_value()) << magic.substr(0, 4) << " round " << round;
    }
  }
}

TEST(BadPicture, AMissingFileAndAFolderAreRefused) {
  const TemporaryFolder folder;
  for (const std::filesystem::path& path : {folder.path() / "absent.png", folder.path()}) {
    try {
      load_image(path);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput);
      EXPECT_THAT(error.what(), HasSubstr(path.string()));
    }
  }
}

// Where the pixels of a file end; what follows (texts, end markers) may be missing, as for Pillow.
std::size_t pixels_end(const std::string& bytes) {
  if (!bytes.starts_with("\x89PNG")) return bytes.size();
  const std::size_t name = bytes.rfind("IDAT");
  std::size_t length = 0;
  for (std::size_t at = name - 4; at < name; ++at) length = length << 8 | static_cast<unsigned char>(bytes[at]);
  return name + 4 + length;
}

// The last bytes of the pixels may be a checksum, padding or bits that nothing needs.
constexpr std::size_t kSlack = 16;

TEST(BadPicture, AFileCutAnywhereIsRefused) {
  for (const std::string& name : small_pictures()) {
    const std::string bytes = picture_bytes(name);
    const std::size_t step = std::max<std::size_t>(1, bytes.size() / 97);
    for (std::size_t length = 0; length < bytes.size(); length += step) {
      const std::optional<Error> error = decode_error(bytes.substr(0, length));
      if (error) {
        EXPECT_EQ(error->kind(), ErrorKind::kCorruptData) << name << " cut at " << length << ": " << error->what();
      } else {
        EXPECT_GE(length + kSlack, pixels_end(bytes)) << name << " decoded although cut at " << length;
      }
    }
  }
}

TEST(BadPicture, ATruncatedFileIsCalledSo) {
  for (const std::string& name : small_pictures()) {
    SCOPED_TRACE(name);
    const std::string bytes = picture_bytes(name);
    expect_refused(decode_error(bytes.substr(0, pixels_end(bytes) / 2)), ErrorKind::kCorruptData, "ends early");
  }
}

TEST(BadPicture, ZeroByZeroIsRefusedInEveryFormat) {
  const std::string jpeg = jpeg_file();
  const std::string vp8l = std::string("VP8L") + little32(5) + "\x2F" + std::string(4, '\0') + std::string(1, '\0');
  const std::vector<std::string> files{
      png_file({.width = 0, .height = 0}, ""),
      bmp_file({.width = 0, .height = 0}),
      bmp_file({.width = 5, .height = 0}),
      patched(jpeg, jpeg_frame_at(jpeg) + 5, big16(0) + big16(0)),
      gif_file({.screen_width = 0, .screen_height = 0, .frame_left = 0, .frame_width = 0, .frame_height = 0}),
      "RIFF" + little32(static_cast<std::uint32_t>(4 + vp8l.size())) + "WEBP" + vp8l,
  };
  for (const std::string& bytes : files) {
    const std::optional<Error> error = decode_error(bytes);
    ASSERT_TRUE(error.has_value()) << "a " << bytes.substr(0, 4) << " file decoded";
    EXPECT_EQ(error->kind(), ErrorKind::kCorruptData) << error->what();
  }
}

TEST(BadPicture, SixtyThousandSquareIsRefusedBeforeItIsAllocated) {
  const std::string jpeg = jpeg_file();
  const std::vector<std::string> files{
      png_file({.width = 60000, .height = 60000}, std::string(10, '\0')),
      bmp_file({.width = 60000, .height = 60000}),
      bmp_file({.width = 60000, .height = -60000}),
      bmp_file({.width = 60000,
                .height = 60000,
                .bits = 8,
                .compression = 1,
                .masks_or_palette = std::string(4, '\0'),
                .colours = 1}),
      patched(jpeg, jpeg_frame_at(jpeg) + 5, big16(60000) + big16(60000)),
      gif_file({.screen_width = 60000, .screen_height = 60000}),
      gif_file({.frame_left = 0, .frame_width = 60000, .frame_height = 60000}),
  };
  for (const std::string& bytes : files) {
    expect_refused(decode_error(bytes), ErrorKind::kUnsupported, "claims 60000x60000 pixels");
  }
}

TEST(BadPicture, AWebPBeyondTheLimitIsRefused) {
  // A lossless header of 16383 x 16383: 14 bits of each side less one.
  const std::uint32_t sides = 16382U | 16382U << 14;
  const std::string vp8l = std::string("VP8L") + little32(64) + "\x2F" + little32(sides) + std::string(59, '\0');
  expect_refused(decode_error("RIFF" + little32(static_cast<std::uint32_t>(4 + vp8l.size())) + "WEBP" + vp8l),
                 ErrorKind::kUnsupported, "claims 16383x16383 pixels");
}

// The most memory that this process has held, in bytes.
std::int64_t peak_memory() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

TEST(BadPicture, ASizeThatSoFewBytesCannotHoldIsRefusedBeforeItIsAllocated) {
  // 176 million pixels, within the limit: half a gigabyte each.
  constexpr int kWidth = 16000, kHeight = 11000;
  const std::string jpeg = jpeg_file();
  const std::uint32_t sides = (kWidth - 1U) | (kHeight - 1U) << 14;
  const std::string vp8l = std::string("VP8L") + little32(64) + "\x2F" + little32(sides) + std::string(59, '\0');
  const std::vector<std::string> files{
      png_file({.width = kWidth, .height = kHeight, .depth = 16, .colour_type = 6, .interlaced = true},
               std::string(90, '\0')),
      png_file({.width = kWidth, .height = kHeight, .depth = 1}, std::string(90, '\0')),
      bmp_file({.width = kWidth, .height = kHeight, .pixels = std::string(1000, '\0')}),
      bmp_file({.width = kWidth, .height = -kHeight, .bits = 1, .masks_or_palette = std::string(8, '\0')}),
      bmp_file({.width = kWidth,
                .height = kHeight,
                .bits = 8,
                .compression = 1,
                .masks_or_palette = std::string(4, '\0'),
                .colours = 1,
                .pixels = std::string("\0\1", 2)}),
      patched(jpeg, jpeg_frame_at(jpeg) + 5, big16(kHeight) + big16(kWidth)),
      gif_file({.screen_width = kWidth, .screen_height = kHeight}),
      "RIFF" + little32(static_cast<std::uint32_t>(4 + vp8l.size())) + "WEBP" + vp8l,
  };
  const std::int64_t before = peak_memory();
  for (const std::string& bytes : files) {
    expect_refused(decode_error(bytes), ErrorKind::kCorruptData, "claims 16000x11000 pixels, more than its ");
  }
  EXPECT_LT(peak_memory() - before, 100'000'000);
}

TEST(Picture, OneColourOfManyPixelsInAShortFileIsRead) {
  std::string rows;
  for (int y = 0; y < 3000; ++y) rows += std::string(1 + 3000 / 8, '\0');
  const Image image = decode(png_file({.width = 3000, .height = 3000, .depth = 1}, rows));
  EXPECT_EQ(image.rgb, std::vector<std::uint8_t>(std::size_t{3000} * 3000 * 3, 0));
}

TEST(PictureTurn, OneLargePictureAtATime) {
  constexpr std::uint64_t kLarge = 200'000'000;
  std::atomic<int> large = 0;
  std::atomic<int> most = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        PictureTurn turn;
        turn.take(1000);
        turn.take(kLarge);
        turn.take(2 * kLarge);
        most = std::max(most.load(), ++large);
        std::this_thread::yield();
        --large;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(most, 1);
}

TEST(PictureTurn, SmallPicturesWaitForNobody) {
  PictureTurn turn;
  turn.take(200'000'000);
  std::thread other([] {
    PictureTurn small;
    small.take(1'000'000);
  });
  other.join();
}

TEST(BadPicture, TheLimitIsTheCallers) {
  for (const std::string& name : small_pictures()) {
    SCOPED_TRACE(name);
    const std::string bytes = picture_bytes(name);
    const Image image = decode(bytes);
    const auto pixels = static_cast<std::uint64_t>(image.width) * image.height;
    EXPECT_FALSE(decode_error(bytes, {.max_pixels = pixels}).has_value());
    expect_refused(decode_error(bytes, {.max_pixels = pixels - 1}), ErrorKind::kUnsupported, "claims ");
  }
}

// Flips, overwrites, cuts and copies bytes, keeping the file's first three so that it stays of its format.
std::string mutated(std::string bytes, std::mt19937& random) {
  const int changes = 1 + static_cast<int>(random() % 8);
  for (int i = 0; i < changes && bytes.size() > 8; ++i) {
    // Half of the changes go to the header, where they do most.
    const std::size_t reach = random() % 2 == 0 ? std::min<std::size_t>(bytes.size(), 128) : bytes.size();
    const std::size_t at = 3 + random() % (reach - 3);
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes[at] = random() % 2 == 0 ? '\xFF' : '\0';
        break;
      case 3:
        bytes.resize(std::max<std::size_t>(at, 8));
        break;
      default:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 16));
    }
  }
  return bytes;
}

TEST(BadPicture, AMutatedFileDecodesOrThrowsOurError) {
  constexpr int kRounds = 300;
  constexpr DecodeLimits kSmall{.max_pixels = 2'000'000};  // so that a mutated size does not cost minutes
  std::vector<std::string> seeds{jpeg_file(), gif_file({}),
                                 bmp_file({.width = 4,
                                           .height = 2,
                                           .bits = 8,
                                           .compression = 1,
                                           .masks_or_palette = std::string(8, '\x40'),
                                           .colours = 2,
                                           .pixels = std::string("\4\1\0\0\0\3\1\0\1\0\0\1", 12)}),
                                 bmp_file({.width = 4,
                                           .height = 2,
                                           .bits = 4,
                                           .compression = 2,
                                           .masks_or_palette = std::string(8, '\x40'),
                                           .colours = 2,
                                           .pixels = std::string("\4\1\0\0\0\2\1\1\2\1\0\1", 12)})};
  for (const std::string& name : small_pictures()) seeds.push_back(picture_bytes(name));
  std::mt19937 random(20240229);
  int decoded = 0;
  int refused = 0;
  for (const std::string& seed : seeds) {
    for (int round = 0; round < kRounds; ++round) {
      const std::string bytes = mutated(seed, random);
      const std::optional<Error> error = decode_error(bytes, kSmall);
      if (error) {
        ++refused;
        EXPECT_NE(error->kind(), ErrorKind::kInternal) << error->what();
        EXPECT_TRUE(is_valid_utf8(error->what())) << error->what();
      } else {
        ++decoded;
      }
    }
  }
  EXPECT_GT(decoded, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace striate::test

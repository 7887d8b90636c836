// How long a photo takes from its file to the vision tower's input: decoding, and what follows it.
#include <benchmark/benchmark.h>
// jpeglib.h needs stdio's FILE and size_t declared first.
#include <jpeglib.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "striate/image/image.h"

namespace {

// Waves and grain, about as hard to compress as a photo.
striate::Image make_picture(int width, int height) {
  striate::Image image{width, height, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * height * 3)};
  std::uint32_t grain = 1;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        grain = grain * 1664525U + 1013904223U;
        const double wave = 128 + 90 * std::sin(x * 0.011 * (c + 1)) * std::cos(y * 0.007 * (c + 1));
        image.rgb[(static_cast<std::size_t>(y) * width + x) * 3 + c] =
            static_cast<std::uint8_t>(wave + static_cast<int>(grain >> 28));
      }
    }
  }
  return image;
}

std::vector<std::byte> encode_jpeg(const striate::Image& image) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 90, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<JSAMPROW>(image.rgb.data() + std::size_t{info.next_scanline} * image.width * 3);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  const auto bytes = std::as_bytes(std::span(buffer, size));
  std::vector<std::byte> out(bytes.begin(), bytes.end());
  std::free(buffer);
  jpeg_destroy_compress(&info);
  return out;
}

void decode_jpeg(benchmark::State& state) {
  const auto file = encode_jpeg(make_picture(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))));
  for (auto _ : state) benchmark::DoNotOptimize(striate::decode_image(file, "picture"));
}

void preprocess_clip(benchmark::State& state) {
  const auto picture = make_picture(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  striate::PreprocessConfig config = striate::PreprocessConfig::clip();
  config.pad_to_square = state.range(2) != 0;
  for (auto _ : state) benchmark::DoNotOptimize(striate::preprocess(picture, config));
}

void preprocess_siglip(benchmark::State& state) {
  const auto picture = make_picture(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  const striate::PreprocessConfig config = striate::PreprocessConfig::siglip();
  for (auto _ : state) benchmark::DoNotOptimize(striate::preprocess(picture, config));
}

}  // namespace

BENCHMARK(decode_jpeg)->Args({640, 480})->Args({4000, 3000})->Unit(benchmark::kMillisecond);
BENCHMARK(preprocess_clip)
    ->ArgNames({"width", "height", "pad"})
    ->Args({640, 480, 1})
    ->Args({4000, 3000, 1})
    ->Args({4000, 3000, 0})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(preprocess_siglip)->Args({640, 480})->Args({4000, 3000})->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();

// How long a photo takes from its file to the vision tower's input: decoding, and what follows it.
#include <benchmark/benchmark.h>

#include <span>
#include <string>

#include "bench/photo.h"
#include "striate/image/image.h"
#include "striate/image/jpeg_encoder.h"

namespace {

void decode_jpeg(benchmark::State& state) {
  const std::string file = striate::encode_jpeg(
      striate::bench::photo(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))), 90);
  const auto bytes = std::as_bytes(std::span(file));
  for (auto _ : state) benchmark::DoNotOptimize(striate::decode_image(bytes, "picture"));
}

void preprocess_clip(benchmark::State& state) {
  const auto picture = striate::bench::photo(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  striate::PreprocessConfig config = striate::PreprocessConfig::clip();
  config.pad_to_square = state.range(2) != 0;
  for (auto _ : state) benchmark::DoNotOptimize(striate::preprocess(picture, config));
}

void preprocess_siglip(benchmark::State& state) {
  const auto picture = striate::bench::photo(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
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

// Whether a device ever waits for its samples: photos are read, decoded, prepared and looked at while a device that
// takes a fixed time for every step is at work on the step before.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "bench/entry.h"
#include "bench/photo.h"
#include "striate/base/elapsed.h"
#include "striate/base/files.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/data/step_source.h"
#include "striate/image/jpeg_encoder.h"
#include "striate/model/load.h"
#include "striate/text/tokenizer.h"

namespace striate::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct Flags {
  std::string model, folder;
  std::int64_t batch = 16;
  double step_seconds = 1.0;
  int steps = 20;
  int threads = 8;
};

constexpr int kWidth = 640, kHeight = 480, kQuality = 90;

// A photo for every sample of the run.
void write_data(const Flags& flags) {
  const fs::path images = fs::path(flags.folder) / "images";
  make_folders(images);
  nlohmann::json samples = nlohmann::json::array();
  for (int i = 0; i < flags.steps * static_cast<int>(flags.batch); ++i) {
    const std::string name = cat(i, ".jpg");
    write_file(OutputPath::inside(images, name), encode_jpeg(photo(kWidth, kHeight, i), kQuality));
    samples.push_back(
        {{"id", std::to_string(i)},
         {"image", name},
         {"conversations",
          {{{"from", "human"}, {"value", "<image>\nWhat is this?"}}, {{"from", "gpt"}, {"value", "Waves."}}}}});
  }
  write_file(OutputPath::inside(flags.folder, "data.json"), samples.dump());
}

nlohmann::json measure(const Flags& flags) {
  ModelPaths paths;
  paths.model = flags.model;
  const Checkpoint checkpoint = open_checkpoint(paths);
  const auto model = load_model(checkpoint, {at::kCPU, Compute::kFloat32});
  const auto tokenizer = load_tokenizer(checkpoint.folder);
  StepSourceOptions options;
  options.data = fs::path(flags.folder) / "data.json";
  options.images = fs::path(flags.folder) / "images";
  options.batch = flags.batch;
  options.threads = flags.threads;
  options.feature_cache_bytes = 0;  // every picture is new
  const auto source = open_step_source(*model, *tokenizer, options);
  source->next();  // the threads begin
  std::vector<double> waits;
  const Clock::time_point begin = Clock::now();
  // The device is at work on the step that was taken, and its host takes the next one.
  for (int step = 1; step < flags.steps; ++step) {
    const Clock::time_point launched = Clock::now();
    const Clock::time_point done =
        launched + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(flags.step_seconds));
    source->next();
    waits.push_back(std::max(0.0, std::chrono::duration<double>(Clock::now() - done).count()));
    std::this_thread::sleep_until(done);
  }
  const double seconds = seconds_since(begin);
  double waited = 0;
  for (const double wait : waits) waited += wait;
  return {{"samples_per_second", static_cast<double>(flags.batch) / flags.step_seconds},
          {"threads", flags.threads},
          {"cores", std::thread::hardware_concurrency()},
          {"steps", waits.size()},
          {"seconds", seconds},
          {"device_waited_seconds", waited},
          {"wait_share", waited / seconds},
          {"steps_that_waited", std::count_if(waits.begin(), waits.end(), [](double wait) { return wait > 0; })}};
}

int run(int argc, char** argv) {
  CLI::App app("Measures whether a device waits for its samples.", "bench_feeding");
  Flags flags;
  app.add_option("--model", flags.model, "A model folder with a vision tower and a tokenizer")->required();
  app.add_option("--folder", flags.folder, "Where photos are written and read")->required();
  app.add_option("--batch", flags.batch, "Samples a step");
  app.add_option("--step-seconds", flags.step_seconds, "How long the device takes for a step");
  app.add_option("--steps", flags.steps, "Steps, the first of them not measured");
  app.add_option("--threads", flags.threads, "Threads that read and decode");
  CLI11_PARSE(app, argc, argv);
  at::set_num_threads(1);
  write_data(flags);
  std::cout << measure(flags).dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace striate::bench

int main(int argc, char** argv) {
  return striate::bench::run_guarded(striate::bench::run, argc, argv);
}

// bench_score: what scoring costs beside the plain forward pass of the same streams (bench/score/run.py).
//
// One process, one stream of random tokens and random picture features, three kinds of work in turn: the forward pass
// alone, the scores but for image attention, all scores. Every other round goes in the opposite order; ratios are taken
// within a round.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/bench_device.h"
#include "bench/entry.h"
#include "bench/train_step/stopwatch.h"
#include "striate/base/random.h"
#include "striate/model/load.h"
#include "striate/region/layer_scores.h"
#include "striate/text/conversation.h"

namespace striate::bench {
namespace {

struct Flags {
  std::string model, device = "cpu", precision = "auto";
  int threads = 2;
  std::int64_t samples = 4;
  std::int64_t text_tokens = 96;
  int rounds = 9;
};

// Samples of a picture and text, the second half of which is learned.
PackedBatch make_stream(const Lvlm& model, const Flags& flags) {
  const VisionConfig& vision = model.config().vision.value();
  const RandomStream random(1, "stream of the scoring benchmark");
  auto generator = at::make_generator<at::CPUGeneratorImpl>(1);
  std::vector<Sample> samples;
  for (std::int64_t s = 0; s < flags.samples; ++s) {
    Sample sample;
    for (std::int64_t t = 0; t < flags.text_tokens; ++t) {
      const std::uint64_t draw = random.bits(static_cast<std::uint64_t>(s * flags.text_tokens + t));
      sample.input_ids.push_back(
          static_cast<std::int64_t>(draw % static_cast<std::uint64_t>(model.config().decoder.vocab_size)));
      sample.labels.push_back(2 * t < flags.text_tokens ? kIgnoreLabel : sample.input_ids.back());
    }
    sample.input_ids.insert(sample.input_ids.begin() + 1, kImageToken);
    sample.labels.insert(sample.labels.begin() + 1, kIgnoreLabel);
    const at::Tensor features =
        at::randn({vision.tokens(), vision.hidden_size}, generator, at::TensorOptions(at::kFloat));
    sample.images = {features.to(compute_dtype(model.placement().compute))};
    samples.push_back(std::move(sample));
  }
  return pack(samples);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

nlohmann::json measure(const Flags& flags) {
  at::set_num_threads(flags.threads);
  ModelPaths paths;
  paths.model = flags.model;
  Placement placement;
  placement.device = device_named(flags.device);
  placement.compute = flags.precision == "fp32"   ? Compute::kFloat32
                      : flags.precision == "bf16" ? Compute::kBFloat16
                                                  : best_compute(placement.device);
  const auto model = load_model(open_checkpoint(paths), placement);
  const PackedBatch stream = make_stream(*model, flags);
  const DecoderConfig& decoder = model->config().decoder;
  LayerScoreCollector states(decoder, {.image_attention = false});
  LayerScoreCollector all(decoder, {});
  const std::array<std::function<void()>, 3> works = {
      [&] { model->forward(stream); }, [&] { states.add(*model, stream); }, [&] { all.add(*model, stream); }};
  for (const auto& work : works) work();  // warm
  wait_for(placement.device);
  std::array<std::vector<Stopwatch::Seconds>, 3> seconds;
  for (int round = 0; round < flags.rounds; ++round) {
    for (std::size_t i = 0; i < works.size(); ++i) {
      const std::size_t which = round % 2 == 0 ? i : works.size() - 1 - i;
      const Stopwatch watch;
      works[which]();
      wait_for(placement.device);
      seconds[which].push_back(watch.seconds());
    }
  }
  const auto share = [&](std::size_t which, double Stopwatch::Seconds::*clock) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < seconds[0].size(); ++r) {
      ratios.push_back(seconds[0][r].*clock / (seconds[which][r].*clock));
    }
    return median(ratios);
  };
  std::vector<double> forward;
  for (const Stopwatch::Seconds& s : seconds[0]) forward.push_back(s.wall);
  return {{"layers", decoder.layers},
          {"hidden", decoder.hidden_size},
          {"compute", compute_name(placement.compute)},
          {"cpu", cpu_description()},
          {"device", device_description(placement.device)},
          {"peak_memory", peak_memory(placement.device)},
          {"threads", flags.threads},
          {"tokens", stream.tokens()},
          {"samples", stream.samples()},
          {"rounds", flags.rounds},
          {"forward_tokens_per_s", static_cast<double>(stream.tokens()) / median(forward)},
          {"scores_share", share(1, &Stopwatch::Seconds::wall)},
          {"scores_share_cpu", share(1, &Stopwatch::Seconds::cpu)},
          {"with_image_attention_share", share(2, &Stopwatch::Seconds::wall)},
          {"with_image_attention_share_cpu", share(2, &Stopwatch::Seconds::cpu)}};
}

int run(int argc, char** argv) {
  CLI::App app("Times scoring beside the plain forward pass.", "bench_score");
  Flags flags;
  app.add_option("--model", flags.model, "A Hugging Face model folder with a vision tower")
      ->required()
      ->check(CLI::ExistingDirectory);
  app.add_option("--device", flags.device, "cpu, cuda, pretend");
  app.add_option("--precision", flags.precision, "auto, fp32, bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
  app.add_option("--threads", flags.threads, "CPU threads")->check(CLI::Range(1, 1024));
  app.add_option("--samples", flags.samples, "Samples of the stream")->check(CLI::Range(1, 1 << 16));
  app.add_option("--text-tokens", flags.text_tokens, "Tokens of a sample beside its picture")
      ->check(CLI::Range(2, 1 << 16));
  app.add_option("--rounds", flags.rounds, "How often each kind of work is timed")->check(CLI::Range(1, 1 << 16));
  CLI11_PARSE(app, argc, argv);
  std::cout << measure(flags).dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace striate::bench

int main(int argc, char** argv) {
  return striate::bench::run_guarded(striate::bench::run, argc, argv);
}

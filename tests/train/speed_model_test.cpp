#include "striate/train/speed_model.h"

#include <gtest/gtest.h>

#include "striate/model/architectures.h"
#include "striate/model/decoder_layer.h"
#include "tests/support/tiny_model.h"

namespace striate {
namespace {

constexpr ActivationCheckpointing kKeep = ActivationCheckpointing::kNone;

PlanRequest tuned_llava(const std::vector<std::int64_t>& layers, std::int64_t tokens = 16384) {
  PlanRequest request;
  request.config = find_architecture("llava-1.5-7b").config;
  request.tune.layers = LayerSet(32, layers);
  request.compute = Compute::kBFloat16;
  request.on_gpu = true;
  const std::int64_t samples = std::max<std::int64_t>(1, tokens / 768);
  request.stream = {.tokens = tokens,
                    .image_rows = tokens * 3 / 4,
                    .targets = std::max<std::int64_t>(1, tokens / 8),
                    .samples = samples};
  return request;
}

MachineRates rates_of(const std::string& machine) {
  return assumed_gpu_rates(find_hardware(machine).front(), Compute::kBFloat16).value();
}

double seconds_on(const std::string& machine, const PlanRequest& request, ActivationCheckpointing kept = kKeep) {
  return predicted_seconds(stream_work(request, kept), rates_of(machine)).total();
}

double tokens_per_second(const std::string& machine, const PlanRequest& request) {
  return static_cast<double>(request.stream.tokens) / seconds_on(machine, request);
}

// As NeMo AutoModel's table has it: LoRA of rank 16 on every linear, two texts of 4096 tokens, every token learned.
PlanRequest published_lora(DecoderConfig decoder) {
  PlanRequest request;
  request.tune.layers = LayerSet::all(decoder.layers);
  request.config.decoder = std::move(decoder);
  request.tune.lora.rank = 16;
  request.tune.lora.dropout = 0;
  request.compute = Compute::kBFloat16;
  request.on_gpu = true;
  request.stream = {.tokens = 8192, .image_rows = 0, .targets = 8192, .samples = 2};
  request.streams = 16;
  return request;
}

TEST(SpeedModel, IsWithinATwentiethOfPublishedSpeedsOnAnH100) {
  DecoderConfig llama = find_architecture("llama-2-7b").config.decoder;
  llama.mlp_size = 14336;
  llama.kv_heads = 8;
  llama.vocab_size = 128256;
  EXPECT_NEAR(tokens_per_second("h100", published_lora(llama)) / 12473, 1.0, 0.05);
  DecoderConfig qwen = llama;
  qwen.layers = 28;
  qwen.hidden_size = 3584;
  qwen.mlp_size = 18944;
  qwen.heads = 28;
  qwen.kv_heads = 4;
  qwen.vocab_size = 152064;
  EXPECT_NEAR(tokens_per_second("h100", published_lora(qwen)) / 14110, 1.0, 0.05);
}

TEST(SpeedModel, AMachineOfTwiceTheRatesTakesHalf) {
  const StreamWork work = stream_work(tuned_llava({0, 8, 16, 24}), kKeep);
  Hardware machine = find_hardware("a100-80").front();
  const auto seconds = [&] { return predicted_seconds(work, *assumed_gpu_rates(machine, Compute::kBFloat16)); };
  const StreamSeconds once = seconds();
  EXPECT_EQ(once.launches, 0) << "16384 tokens keep the GPU busy longer than the host needs to launch";
  machine.bf16_rate *= 2;
  machine.memory_rate *= 2;
  EXPECT_NEAR(seconds().total(), once.total() / 2, 1e-9);
  machine.memory_rate /= 2;
  EXPECT_GT(seconds().total(), once.total() / 2) << "bytes move no faster";
}

TEST(SpeedModel, MoreLayersMoreRecomputingAndMoreTokensTakeLonger) {
  const double quarter = seconds_on("h100", tuned_llava({0, 4, 8, 12, 16, 20, 24, 28}));
  const double all = seconds_on("h100", with_all_layers(tuned_llava({0})));
  EXPECT_LT(seconds_on("h100", tuned_llava({0})), quarter);
  EXPECT_LT(1.1 * quarter, all);
  EXPECT_LT(all, 2 * quarter);
  const PlanRequest region = tuned_llava({0, 16});
  EXPECT_LT(seconds_on("h100", region), seconds_on("h100", region, ActivationCheckpointing::kMlp));
  EXPECT_LT(seconds_on("h100", region, ActivationCheckpointing::kMlp),
            seconds_on("h100", region, ActivationCheckpointing::kLayer));
  EXPECT_NEAR(seconds_on("h100", tuned_llava({0, 16}, 32768)) / seconds_on("h100", region), 2.0, 0.05);
  PlanRequest top = tuned_llava({30, 31});
  top.tune.freeze_projector = true;
  EXPECT_LT(seconds_on("h100", top), 0.6 * seconds_on("h100", tuned_llava({30, 31}))) << "no way back below layer 30";
}

TEST(SpeedModel, FasterMachinesAreFasterAsFarAsTheWorkAllows) {
  const PlanRequest region = tuned_llava({0, 8, 16, 24});
  EXPECT_GT(tokens_per_second("h100", region), 2 * tokens_per_second("a100-80", region));
  EXPECT_GT(tokens_per_second("h200", region), tokens_per_second("h100", region)) << "it has the faster memory";
  EXPECT_LT(tokens_per_second("h200", region), 1.3 * tokens_per_second("h100", region)) << "and the same products";
  EXPECT_GT(tokens_per_second("a100-80", region), tokens_per_second("4090", region));
}

TEST(SpeedModel, LaunchesDecideTinyStreamsAndNotLargeOnes) {
  PlanRequest tiny;
  tiny.config = test::tiny_config({.layers = 4});
  tiny.tune.layers = LayerSet(4, {1, 3});
  tiny.tune.lora.rank = 4;
  tiny.compute = Compute::kBFloat16;
  tiny.on_gpu = true;
  tiny.stream = {.tokens = 116, .image_rows = 12, .targets = 41, .samples = 3};
  const StreamWork work = stream_work(tiny, kKeep);
  const StreamSeconds seconds = predicted_seconds(work, rates_of("h100"));
  EXPECT_GT(seconds.launches, 0.9 * seconds.total());
  EXPECT_NEAR(seconds.total(), work.launches * rates_of("h100").launch, 1e-9) << "the work hides behind them";
  // What the pretend device counts for a step like this (docs/gpu.md): 307, 264 without dropout, 387 with recomputing.
  EXPECT_NEAR(work.launches / 307, 1.0, 0.1);
  EXPECT_NEAR(stream_work(tiny, ActivationCheckpointing::kLayer).launches / 387, 1.0, 0.1);
  tiny.tune.lora.dropout = 0;
  EXPECT_NEAR(stream_work(tiny, kKeep).launches / 264, 1.0, 0.1);
  // A weight is read as a whole, however few tokens meet it.
  const StreamSeconds few = predicted_seconds(stream_work(tuned_llava({0}, 16), kKeep), rates_of("h100"));
  EXPECT_GT(few.products, 5 * stream_work(tuned_llava({0}, 16), kKeep).products / rates_of("h100").products);
}

TEST(SpeedModel, KindsOfWorkAddUpToThePlansOperations) {
  for (const ActivationCheckpointing kept : kCheckpointings) {
    const PlanRequest request = tuned_llava({0, 31});
    const StreamWork work = stream_work(request, kept);
    const double planned = plan_cost(request).operations.total(kept) * static_cast<double>(request.stream.tokens);
    EXPECT_NEAR((work.products + work.adapters + work.attention) / planned, 1.0, 1e-9);
    EXPECT_GT(work.products, 10 * work.adapters);
    EXPECT_GT(work.attention, 0);
  }
  PlanRequest whole = tuned_llava({0, 31});
  whole.tune.kind = TuneKind::kFull;
  EXPECT_EQ(stream_work(whole, kKeep).adapters, 0);
}

// The operations of the forward products of layers outside the region, every linear of which is e4m3.
double frozen_forward(const PlanRequest& request, bool again) {
  const DecoderConfig& c = request.config.decoder;
  double sum = 0;
  for (std::int64_t layer = 0; layer < c.layers; ++layer) {
    if (request.tune.layers.contains(layer)) continue;
    for (const LinearShape& linear : decoder_linears(c)) {
      const std::string name = linear.name;
      const bool all = layer + 1 < c.layers || name == "self_attn.k_proj" || name == "self_attn.v_proj";
      const auto rows = static_cast<double>(all ? request.stream.tokens : request.stream.targets);
      // Of a frozen layer that is computed again, the last product is not asked for.
      const double times = again && name != "mlp.down_proj" ? 2 : 1;
      sum += times * 2 * static_cast<double>(linear.in * linear.out) * rows;
    }
  }
  return sum;
}

TEST(SpeedModel, ForwardProductsOfFp8LayersRunAtTheRateOfTheirUnits) {
  PlanRequest request = tuned_llava({0, 8, 16, 24});
  const StreamWork plain = stream_work(request, kKeep);
  request.tune.frozen_precision = FrozenPrecision::kFp8;
  const StreamWork fp8 = stream_work(request, kKeep);
  EXPECT_NEAR(fp8.fp8_products / frozen_forward(request, false), 1.0, 1e-9);
  EXPECT_NEAR((fp8.products + fp8.fp8_products) / plain.products, 1.0, 1e-9);
  const StreamWork again = stream_work(request, ActivationCheckpointing::kLayer);
  EXPECT_NEAR(again.fp8_products / frozen_forward(request, true), 1.0, 1e-9);
  const MachineRates rates = rates_of("h100");
  EXPECT_NEAR(rates.fp8 / rates.products, 2.0, 1e-9);
  const StreamSeconds seconds = predicted_seconds(fp8, rates);
  EXPECT_DOUBLE_EQ(seconds.products, fp8.products / rates.products + fp8.fp8_products / rates.fp8);
  EXPECT_LT(seconds.total(), predicted_seconds(plain, rates).total());
  // Gradients read the same bytes in the compute type: they are as fast as int8's.
  request.tune.frozen_precision = FrozenPrecision::kInt8;
  const StreamWork int8 = stream_work(request, kKeep);
  EXPECT_EQ(int8.fp8_products, 0);
  EXPECT_LT(seconds.total(), predicted_seconds(int8, rates).total());
}

TEST(SpeedModel, ReadingQuantisedWeightsBackIsMovedAndLaunched) {
  PlanRequest request = tuned_llava({0, 8, 16, 24});
  const StreamWork plain = stream_work(request, kKeep);
  double weights = 0, inputs = 0;
  for (const LinearShape& linear : decoder_linears(request.config.decoder)) {
    weights += 28.0 * static_cast<double>(linear.in * linear.out);
    inputs += static_cast<double>(linear.in) *
              (27.0 * static_cast<double>(request.stream.tokens) + static_cast<double>(request.stream.targets));
  }
  // Forward and backward: codes are read, bf16 is written.
  request.tune.frozen_precision = FrozenPrecision::kInt8;
  const StreamWork int8 = stream_work(request, kKeep);
  EXPECT_NEAR((int8.moved - plain.moved) / (2 * 3 * weights), 1.0, 0.01);
  EXPECT_GT(int8.launches, plain.launches + 2 * 28 * 7);
  request.tune.frozen_precision = FrozenPrecision::kNf4;
  EXPECT_NEAR((stream_work(request, kKeep).moved - plain.moved) / (2 * 2.516 * weights), 1.0, 0.01);
  // fp8 reads its weights back for gradients alone, and rounds the inputs of forward products.
  request.tune.frozen_precision = FrozenPrecision::kFp8;
  const StreamWork fp8 = stream_work(request, kKeep);
  EXPECT_NEAR((fp8.moved - plain.moved) / (3 * weights + 3 * inputs), 1.0, 0.01);
  EXPECT_EQ(fp8.launches, int8.launches);
  // A GPU without such units reads them back for both, and rounds in two directions.
  request.fp8_units = false;
  const StreamWork emulated = stream_work(request, kKeep);
  EXPECT_EQ(emulated.fp8_products, 0);
  EXPECT_NEAR((emulated.moved - plain.moved) / (2 * 3 * weights + 2 * 3 * inputs), 1.0, 0.01);
}

TEST(SpeedModel, SaysNothingOfMachinesWhoseRatesAreUnknown) {
  EXPECT_FALSE(assumed_gpu_rates(find_hardware("t4").front(), Compute::kBFloat16));  // it has no bf16 units
  EXPECT_FALSE(assumed_gpu_rates(find_hardware("a100-40").front(), Compute::kFloat32));
  EXPECT_FALSE(assumed_gpu_rates(find_hardware("this").front(), Compute::kBFloat16));
  for (const Hardware& machine : known_hardware()) {
    EXPECT_GT(machine.memory_rate, 1e11) << machine.name;
    if (machine.fp8_rate <= 0) continue;
    EXPECT_NEAR(machine.fp8_rate / machine.bf16_rate, 2.0, 0.03) << machine.name;
  }
}

TEST(SpeedModel, KnowsAGpuByWhatItCallsItself) {
  const auto known = [](const std::string& name, std::int64_t memory) { return gpu_hardware(name, memory).name; };
  EXPECT_EQ(known("NVIDIA A100-SXM4-80GB", 85'000'000'000), "a100-80");
  EXPECT_EQ(known("NVIDIA A100-PCIE-40GB", 42'000'000'000), "a100-40");
  EXPECT_EQ(known("NVIDIA GeForce RTX 4090", 25'000'000'000), "rtx-4090");
  EXPECT_EQ(known("NVIDIA H100 80GB HBM3", 85'000'000'000), "h100");
  EXPECT_EQ(known("NVIDIA H200", 150'000'000'000), "h200");
  EXPECT_EQ(known("Radeon", 1), "");
  EXPECT_EQ(gpu_hardware("NVIDIA H200", 7).memory, 7);
}

TEST(SpeedModel, RatesOfThisCpuAreMeasured) {
  PlanRequest request;
  request.config = test::tiny_config({.layers = 2});
  request.tune.layers = LayerSet(2, {0});
  request.tune.lora.rank = 4;
  request.stream = {.tokens = 64, .image_rows = 8, .targets = 10, .samples = 2};
  const MachineRates rates = measured_cpu_rates(request);
  EXPECT_FALSE(rates.gpu);
  for (const double rate : {rates.products, rates.adapters, rates.attention, rates.memory}) EXPECT_GT(rate, 1e5);
  EXPECT_GT(rates.launch, 0);
  EXPECT_GT(predicted_seconds(stream_work(request, kKeep), rates).launches, 0);
}

}  // namespace
}  // namespace striate

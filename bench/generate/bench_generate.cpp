// bench_generate: Striate's side of bench/generate/run.py. Loads a checkpoint once and answers timing commands.
//
//   {"set": "text" | "picture", "ids": [...]}      a prompt; -200 stands for the picture (see --pixels)
//   {"do": "prefill", "prompt": P, "threads": N}   the whole prompt from an empty cache, tower and projector included
//   {"do": "decode", "prompt": P, "threads": N, "steps": K}   K steps after the prompt, which may lie in the cache
//   {"do": "logits", "prompt": P, "threads": N}    the logits of the last prompt position, to compare programs by
//   {"do": "memory"}                               resident bytes: the peak, and of the present ones the anonymous
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/bench_device.h"
#include "bench/entry.h"
#include "bench/line_server.h"
#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/infer/generate.h"
#include "striate/model/load.h"

namespace striate::bench {
namespace {

using Clock = std::chrono::steady_clock;

ModelPaths model_folder(const std::string& folder) {
  ModelPaths paths;
  paths.model = folder;
  return paths;
}

// Raw fp32 [3, S, S], already normalised.
at::Tensor read_pixels(const std::string& file, std::int64_t size) {
  const std::string bytes = read_file(file);
  at::Tensor pixels = at::empty({1, 3, size, size}, at::TensorOptions(at::kFloat));
  if (bytes.size() != pixels.nbytes())
    throw invalid_input(file + ": not 3 x S x S floats", "S is the tower's image size");
  std::memcpy(pixels.data_ptr(), bytes.data(), bytes.size());
  return pixels;
}

// Weights that one token's pass through the decoder reads, in the type they are kept in, and what it multiplies.
struct DecoderWork {
  double layer_bytes = 0.0, head_bytes = 0.0;  // per step
  double layer_flops = 0.0, head_flops = 0.0;  // per token, per row of logits
};

DecoderWork decoder_work(const Checkpoint& checkpoint, const Lvlm& model) {
  DecoderWork work;
  for (const DecoderLayer& layer : model.decoder().layers()) {
    for (const auto& [name, linear] : layer.linears()) {
      work.layer_bytes += static_cast<double>(linear->matrix().weight().nbytes());
      work.layer_flops += 2.0 * static_cast<double>(linear->matrix().weight().numel());
    }
  }
  const DecoderConfig& config = model.config().decoder;
  const at::Tensor head = checkpoint.weights.load(
      config.tie_embeddings ? "model.embed_tokens.weight" : "lm_head.weight", {config.vocab_size, config.hidden_size});
  work.head_bytes = static_cast<double>(head.nbytes());
  work.head_flops = 2.0 * static_cast<double>(head.numel());
  return work;
}

// VmHWM and its like, in bytes.
std::int64_t status_bytes(const std::string& field) {
  std::ifstream lines("/proc/self/status");
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with(field + ":")) return std::stoll(line.substr(field.size() + 1)) * 1024;
  }
  throw internal_error("/proc/self/status has no " + field);
}

class Worker {
 public:
  Worker(const std::string& folder, const std::string& precision, const std::string& pixels, at::Device device)
      : checkpoint_(open_checkpoint(model_folder(folder))) {
    Placement placement;
    placement.device = device;
    placement.compute = precision == "fp32"   ? Compute::kFloat32
                        : precision == "bf16" ? Compute::kBFloat16
                                              : best_compute(device);
    model_ = load_model(checkpoint_, placement);
    generator_ = std::make_unique<Generator>(*model_, nullptr);
    if (!pixels.empty()) pixels_ = read_pixels(pixels, model_->config().vision->image_size);
  }

  nlohmann::json greeting() const {
    const DecoderWork work = decoder_work(checkpoint_, *model_);
    return {{"compute", compute_name(model_->placement().compute)},
            {"cpu", cpu_description()},
            {"device", device_description(model_->placement().device)},
            {"layers", model_->config().decoder.layers},
            {"bytes_per_step", work.layer_bytes + work.head_bytes},
            {"flops_per_token", work.layer_flops},
            {"flops_per_logits", work.head_flops}};
  }

  nlohmann::json answer(const nlohmann::json& command) {
    if (command.contains("set")) {
      prompts_[command.at("set")] = command.at("ids").get<std::vector<std::int64_t>>();
      return nlohmann::json::object();
    }
    const std::string what = command.at("do");
    if (what == "memory") {
      return {{"peak", peak_memory(model_->placement().device)}, {"anonymous", status_bytes("RssAnon")}};
    }
    at::set_num_threads(command.at("threads"));
    if (what == "prefill") return prefill(command.at("prompt"));
    if (what == "decode") return decode(command.at("prompt"), command.at("steps"));
    if (what == "logits") return logits(command.at("prompt"));
    throw invalid_input("no command " + what, "known: prefill, decode, logits, memory");
  }

 private:
  Sample sample(const std::string& prompt) const {
    Sample sample;
    sample.input_ids = prompts_.at(prompt);
    for (const std::int64_t id : sample.input_ids) {
      if (id == kImageToken) sample.images.push_back(model_->vision_features(pixels_)[0]);
    }
    return sample;
  }

  GenerationResult generate(const Sample& sample, std::int64_t tokens, const GenerationCallbacks& callbacks = {}) {
    GenerationOptions options;  // greedy, and no end token: always the full length
    options.max_tokens = tokens;
    return generator_->generate(sample, options, callbacks);
  }

  nlohmann::json prefill(const std::string& prompt) {
    generator_->reset();
    const auto start = Clock::now();
    const GenerationResult result = generate(sample(prompt), 1);
    return {{"seconds", seconds_since(start)}, {"tokens", result.prompt_tokens}};
  }

  nlohmann::json decode(const std::string& prompt, std::int64_t steps) {
    const GenerationResult result = generate(sample(prompt), steps + 1);
    return {{"seconds", result.decode_seconds}, {"tokens", result.decode_steps}, {"ids", result.ids}};
  }

  nlohmann::json logits(const std::string& prompt) {
    generator_->reset();
    std::vector<float> values;
    GenerationCallbacks callbacks;
    callbacks.on_logits = [&](const at::Tensor& logits) {
      const at::Tensor row = logits.cpu();
      const float* begin = row.const_data_ptr<float>();
      values.assign(begin, begin + row.numel());
    };
    generate(sample(prompt), 1, callbacks);
    return {{"logits", values}};
  }

  Checkpoint checkpoint_;
  std::unique_ptr<Lvlm> model_;
  std::unique_ptr<Generator> generator_;
  at::Tensor pixels_;
  std::map<std::string, std::vector<std::int64_t>> prompts_;
};

int run(int argc, char** argv) {
  CLI::App app("Times Striate on a checkpoint for bench/generate/run.py.", "bench_generate");
  std::string model, pixels, device = "cpu", precision = "auto";
  app.add_option("--model", model, "A Hugging Face model folder")->required()->check(CLI::ExistingDirectory);
  app.add_option("--device", device, "cpu, cuda, pretend");
  app.add_option("--precision", precision, "auto, fp32, bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
  app.add_option("--pixels", pixels, "The picture: raw fp32 [3, S, S], normalised")->check(CLI::ExistingFile);
  CLI11_PARSE(app, argc, argv);
  Worker worker(model, precision, pixels, device_named(device));
  serve(worker.greeting(), [&](const nlohmann::json& command) { return worker.answer(command); });
  return 0;
}

}  // namespace
}  // namespace striate::bench

int main(int argc, char** argv) {
  return striate::bench::run_guarded(striate::bench::run, argc, argv);
}

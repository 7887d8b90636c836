// striate init: a checkpoint of random weights.
#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/command.h"
#include "apps/striate/export_flags.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/init_model.h"

namespace striate::app {
namespace {

using Clock = std::chrono::steady_clock;

struct InitFlags {
  InitRequest request;
  std::string layout, dtype = "bf16", shard = "5GB", tokenizer, out;
  bool json = false;
};

at::ScalarType parse_dtype(const std::string& text) {
  if (text == "bf16") return at::kBFloat16;
  if (text == "fp16") return at::kHalf;
  if (text == "fp32") return at::kFloat;
  throw invalid_input(cat("--dtype ", text, ": unknown type"), "known: bf16, fp16, fp32");
}

std::optional<Layout> parse_layout(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "hf") return Layout::kHf;
  if (text == "original") return Layout::kOriginal;
  throw invalid_input(cat("--layout ", text, ": unknown layout"), "known: hf, original");
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void print_result(const InitFlags& flags, const InitResult& result, double seconds) {
  const std::string rate = human_bytes(static_cast<std::uint64_t>(static_cast<double>(result.bytes) / seconds));
  if (flags.json) {
    const nlohmann::json out = {{"out", flags.out},
                                {"family", family_name(result.config.family)},
                                {"parameters", result.parameters},
                                {"bytes", result.bytes},
                                {"weight_files", result.weight_files},
                                {"vocab_size", result.config.decoder.vocab_size},
                                {"tokenizer", result.tokenizer ? nlohmann::json(*result.tokenizer) : nullptr},
                                {"seed", flags.request.seed},
                                {"seconds", seconds}};
    std::cout << out.dump(2) << std::endl;
    return;
  }
  std::cout << "wrote " << flags.out << ": " << family_name(result.config.family) << ", "
            << human_count(result.parameters) << " random parameters, " << human_bytes(result.bytes) << " in "
            << result.weight_files << (result.weight_files == 1 ? " file" : " files") << " (" << rate << "/s)\n";
  if (!result.tokenizer) std::cout << "note: it has no tokenizer; striate chat needs one (--tokenizer PATH)\n";
}

void run_init(InitFlags flags) {
  InitRequest& request = flags.request;
  request.layout = parse_layout(flags.layout);
  request.dtype = parse_dtype(flags.dtype);
  request.max_shard_bytes = parse_bytes(flags.shard, "--max-shard-size");
  if (!flags.tokenizer.empty()) request.tokenizer = flags.tokenizer;
  request.out = flags.out;
  const Clock::time_point start = Clock::now();
  WritingProgress progress;
  const InitResult result = init_model(request, std::ref(progress));
  print_result(flags, result, std::max(seconds_since(start), 1e-6));
}

void add_shape_flags(CLI::App& command, ShapeChanges& c) {
  const std::string decoder = "Decoder shape (as published where not given)";
  command.add_option("--layers", c.layers, "Decoder layers")->group(decoder);
  command.add_option("--hidden", c.hidden, "Width of the residual stream")->group(decoder);
  command.add_option("--heads", c.heads, "Attention heads")->group(decoder);
  command.add_option("--kv-heads", c.kv_heads, "Key-value heads")->group(decoder);
  command.add_option("--head-dim", c.head_dim, "Size of a head")->group(decoder);
  command.add_option("--mlp", c.mlp, "Width inside the MLP")->group(decoder);
  command.add_option("--vocab", c.vocab, "Vocabulary (follows --tokenizer)")->group(decoder);
  command.add_option("--max-positions", c.max_positions, "Context length")->group(decoder);
  command.add_option("--sliding-window", c.sliding_window, "Phi-3's attention window")->group(decoder);
  command.add_option("--rope-theta", c.rope_theta, "Base of the rotary frequencies")->group(decoder);
  command.add_flag("--tie-embeddings", c.tie_embeddings, "The head is the embedding")->group(decoder);
  const std::string vision = "Vision tower and projector shape";
  command.add_option("--vision-layers", c.vision_layers, "Vision layers")->group(vision);
  command.add_option("--vision-hidden", c.vision_hidden, "Width of the vision tower")->group(vision);
  command.add_option("--vision-heads", c.vision_heads, "Attention heads of the vision tower")->group(vision);
  command.add_option("--vision-mlp", c.vision_mlp, "Width inside the vision tower's MLP")->group(vision);
  command.add_option("--image-size", c.image_size, "Pixels along a side")->group(vision);
  command.add_option("--patch-size", c.patch_size, "Pixels along a patch's side")->group(vision);
  command.add_option("--projector", c.projector, "linear, mlp2x_gelu, mlpNx_gelu")->group(vision);
}

std::string architecture_list() {
  std::vector<std::string> names;
  for (const Architecture& arch : architectures()) names.push_back(arch.name);
  return join(names, ", ");
}

}  // namespace

void add_init(CLI::App& app, Run& run) {
  const auto flags = std::make_shared<InitFlags>();
  CLI::App* command = app.add_subcommand("init", "Make a checkpoint of random weights, full-size or scaled");
  command->add_option("--arch", flags->request.arch, "One of " + architecture_list())->required()->type_name("NAME");
  command->add_option("--out", flags->out, "The folder to make")->required()->type_name("DIR");
  command->add_option("--tokenizer", flags->tokenizer, "A tokenizer to copy: a folder, or one file (also .gz)")
      ->type_name("PATH");
  command->add_option("--seed", flags->request.seed, "The same seed gives the same bytes")->capture_default_str();
  command->add_option("--dtype", flags->dtype, "bf16, fp16 or fp32")->capture_default_str();
  command->add_option("--layout", flags->layout, "LLaVA: hf (llava-hf names, the default) or original");
  command->add_option("--max-shard-size", flags->shard, "Largest weight file")->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object");
  add_shape_flags(*command, flags->request.changes);
  command->footer(example(
      "striate init --arch llava-1.5-7b --layers 4 --hidden 256 --tokenizer tokenizer.model --seed 1 --out tiny"));
  command->callback([flags, &run] { run.action = [flags] { run_init(*flags); }; });
}

}  // namespace striate::app

// striate init: a checkpoint of random weights.
#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/striate/built_in_tokenizer.h"
#include "apps/striate/command.h"
#include "apps/striate/export_flags.h"
#include "apps/striate/flag_ranges.h"
#include "striate/base/byte_size.h"
#include "striate/base/elapsed.h"
#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/model/config_bounds.h"
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

std::string architecture_list() {
  std::vector<std::string> names;
  for (const Architecture& arch : architectures()) names.push_back(arch.name);
  return join(names, ", ");
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
            << counted(result.weight_files, "file") << " (" << rate << "/s)\n";
  if (!result.tokenizer) std::cout << "note: it has no tokenizer; striate chat needs one (--tokenizer PATH)\n";
}

void run_init(InitFlags flags) {
  InitRequest& request = flags.request;
  if (!request.size.empty() && flags.tokenizer.empty()) request.tokenizer_model = built_in_tokenizer();
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

void add_scale(CLI::App& command, WeightScale& scale) {
  const std::string weights = "Size of the decoder's weights";
  command
      .add_option("--embedding-std", scale.embedding_std,
                  "Standard deviation of the token embedding; a small model learns faster with 0.3")
      ->check(number(1e-6, 10))
      ->capture_default_str()
      ->group(weights);
  command
      .add_option("--residual-scale", scale.residual,
                  "Factor of o_proj and down_proj; (2 x layers)^-1/2 lets a deep model begin gently")
      ->check(number(1e-6, 10))
      ->capture_default_str()
      ->group(weights);
}

void add_decoder_shape(CLI::App& command, ShapeChanges& c) {
  const std::string decoder = "Decoder shape (default: as published)";
  command.add_option("--layers", c.layers, "Number of decoder layers")
      ->check(whole_number(1, kMostLayers))
      ->group(decoder);
  command.add_option("--hidden", c.hidden, "Hidden size of the decoder")
      ->check(whole_number(1, kMostWidth))
      ->group(decoder);
  command.add_option("--heads", c.heads, "Number of attention heads")
      ->check(whole_number(1, kMostHeads))
      ->group(decoder);
  command.add_option("--kv-heads", c.kv_heads, "Number of key-value heads")
      ->check(whole_number(1, kMostHeads))
      ->group(decoder);
  command.add_option("--head-dim", c.head_dim, "Size of an attention head")
      ->check(whole_number(1, 4096))
      ->group(decoder);
  command.add_option("--mlp", c.mlp, "Width inside the MLP")->check(whole_number(1, kMostWidth))->group(decoder);
  command.add_option("--vocab", c.vocab, "Vocabulary size (with --tokenizer: as large as it needs)")
      ->check(whole_number(1, 1 << 24))
      ->group(decoder);
  command.add_option("--max-positions", c.max_positions, "Context length, in tokens")
      ->check(whole_number(1, kMostPositions))
      ->group(decoder);
  command.add_option("--sliding-window", c.sliding_window, "Attention window of Phi-3, in tokens")
      ->check(whole_number(1, kMostPositions))
      ->group(decoder);
  command.add_option("--rope-theta", c.rope_theta, "Base of the rotary position embedding's frequencies")
      ->check(number(1, kMostTheta))
      ->group(decoder);
  command.add_flag("--tie-embeddings", c.tie_embeddings, "Use the embedding matrix as the output head")->group(decoder);
}

void add_vision_shape(CLI::App& command, ShapeChanges& c) {
  const std::string vision = "Vision tower and projector shape (default: as published)";
  command.add_option("--vision-layers", c.vision_layers, "Number of vision tower layers")
      ->check(whole_number(1, kMostLayers))
      ->group(vision);
  command.add_option("--vision-hidden", c.vision_hidden, "Hidden size of the vision tower")
      ->check(whole_number(1, kMostWidth))
      ->group(vision);
  command.add_option("--vision-heads", c.vision_heads, "Number of attention heads of the vision tower")
      ->check(whole_number(1, kMostHeads))
      ->group(vision);
  command.add_option("--vision-mlp", c.vision_mlp, "Width inside the vision tower's MLP")
      ->check(whole_number(1, kMostWidth))
      ->group(vision);
  command.add_option("--image-size", c.image_size, "Side of the input picture, in pixels")
      ->check(whole_number(1, 8192))
      ->group(vision);
  command.add_option("--patch-size", c.patch_size, "Side of a patch, in pixels")
      ->check(whole_number(1, 8192))
      ->group(vision);
  command.add_option("--projector", c.projector, "Type of the projector: linear, mlp2x_gelu or mlpNx_gelu")
      ->group(vision);
}

}  // namespace

void add_init(CLI::App& app, Invocation& run) {
  const auto flags = std::make_shared<InitFlags>();
  CLI::App* command = app.add_subcommand("init", "Create a checkpoint with random weights, full-size or scaled");
  command
      ->add_option("--arch", flags->request.arch,
                   "Architecture, one of " + architecture_list() + "; default with --size: llava-1.5-7b")
      ->type_name("NAME");
  command
      ->add_option("--size", flags->request.size,
                   "Small complete model: tiny (0.7 M parameters) or small (8 M), with a tokenizer of its own unless "
                   "--tokenizer is given")
      ->type_name("SIZE");
  command->add_option("--out", flags->out, "Folder to create")->required()->type_name("DIR");
  command->add_option("--tokenizer", flags->tokenizer, "Tokenizer to copy: a folder or one file (also .gz)")
      ->type_name("PATH");
  command->add_option("--seed", flags->request.seed, "Seed of the random weights; the same seed gives the same bytes")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str();
  command->add_option("--dtype", flags->dtype, "Type of the weights: bf16, fp16 or fp32")->capture_default_str();
  command->add_option("--layout", flags->layout,
                      "Names of LLaVA's tensors: hf (those of llava-hf, the default) or original");
  command->add_option("--max-shard-size", flags->shard, "Maximum size of a weight file")->capture_default_str();
  command->add_flag("--json", flags->json, "Print one JSON object");
  add_scale(*command, flags->request.scale);
  add_decoder_shape(*command, flags->request.changes);
  add_vision_shape(*command, flags->request.changes);
  command->footer(example("striate init --size tiny --out tiny"));
  command->callback([flags, &run] { run.action = [flags] { run_init(*flags); }; });
}

}  // namespace striate::app

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <fstream>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/model/init_model.h"
#include "striate/model/inspect_model.h"
#include "striate/model/load.h"
#include "striate/text/tokenizer.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

ModelPaths model_at(const fs::path& folder) {
  ModelPaths paths;
  paths.model = folder;
  return paths;
}

ShapeChanges small_shape() {
  ShapeChanges c;
  c.layers = 2;
  c.hidden = 64;
  c.heads = 4;
  c.mlp = 96;
  return c;
}

ShapeChanges small_seeing_shape() {
  ShapeChanges c = small_shape();
  c.vision_layers = 2;
  c.vision_hidden = 32;
  c.vision_heads = 2;
  c.vision_mlp = 48;
  c.image_size = 28;
  return c;
}

class InitTest : public testing::Test {
 protected:
  InitRequest request(const std::string& arch, const std::string& out, std::int64_t vocab = 320) {
    InitRequest request;
    request.arch = arch;
    const bool sees = find_architecture(arch).config.vision.has_value();
    request.changes = sees ? small_seeing_shape() : small_shape();
    if (vocab > 0) request.changes.vocab = vocab;
    request.out = folder_.path() / out;
    return request;
  }
  fs::path path(const std::string& name) const { return folder_.path() / name; }

  test::TemporaryFolder folder_;
};

std::string bytes_of(const fs::path& file) {
  return read_file(file);
}

TEST_F(InitTest, EveryArchitectureIsCompleteAndReadsBackAsItself) {
  for (const Architecture& arch : architectures()) {
    const InitResult made = init_model(request(arch.name, arch.name));
    const Inspection report = inspect_model(model_at(path(arch.name)));
    EXPECT_TRUE(report.complete()) << arch.name;
    EXPECT_TRUE(report.unexpected.empty() && report.unused.empty()) << arch.name;
    EXPECT_EQ(report.config.family, arch.config.family);
    EXPECT_EQ(report.all.parameters, made.parameters);
    EXPECT_EQ(report.all.bytes, made.bytes);
    const DecoderConfig& want = made.config.decoder;
    const DecoderConfig& got = report.config.decoder;
    EXPECT_EQ(got.kind, want.kind);
    EXPECT_EQ(got.kv_heads, want.kv_heads) << arch.name;
    EXPECT_EQ(got.rope_theta, want.rope_theta);
    EXPECT_EQ(got.rms_eps, want.rms_eps);
    EXPECT_EQ(got.max_positions, want.max_positions);
    EXPECT_EQ(got.sliding_window, want.sliding_window);
    EXPECT_EQ(got.eos_ids, want.eos_ids);
    EXPECT_EQ(got.bos_id, want.bos_id);
    if (!arch.config.vision) continue;
    EXPECT_EQ(report.config.vision->kind, arch.config.vision->kind);
    EXPECT_EQ(report.config.vision->activation, arch.config.vision->activation);
    EXPECT_EQ(report.config.vision->feature_layer, -2);
    ASSERT_TRUE(report.pixels) << report.pixels_problem;
    EXPECT_EQ(report.pixels->size, 28);
    EXPECT_TRUE(report.pixels->pad_to_square);
  }
}

TEST_F(InitTest, SameSeedSameBytesWhateverTheThreads) {
  const int threads = at::get_num_threads();
  std::vector<std::string> files;
  for (const int count : {1, 3}) {
    at::set_num_threads(count);
    InitRequest big = request("llama-2-7b", std::to_string(count), 8192);
    big.changes.hidden = 128;  // the embedding is then larger than one thread's share
    big.seed = 7;
    init_model(big);
    files.push_back(bytes_of(path(std::to_string(count)) / "model.safetensors"));
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(files[0] == files[1]);
  InitRequest other = request("llama-2-7b", "other", 8192);
  other.changes.hidden = 128;
  other.seed = 8;
  init_model(other);
  EXPECT_FALSE(files[0] == bytes_of(path("other") / "model.safetensors"));
}

TEST_F(InitTest, ValuesHaveTheirStatedSpread) {
  InitRequest wide = request("llava-1.5-7b", "m", 8192);
  wide.changes.hidden = 256;
  wide.changes.mlp = 1024;
  wide.dtype = at::kFloat;
  init_model(wide);
  const Checkpoint checkpoint = open_checkpoint(model_at(path("m")));
  const auto load = [&](const char* name, std::vector<std::int64_t> shape) {
    return checkpoint.weights.load(name, shape).to(at::kDouble);
  };
  const auto expect_normal = [](const at::Tensor& x, double spread) {
    const double n = static_cast<double>(x.numel());
    EXPECT_NEAR(x.std().item<double>() / spread, 1.0, 6 / std::sqrt(n));
    EXPECT_NEAR(x.mean().item<double>() / spread, 0.0, 6 / std::sqrt(n));
    EXPECT_NEAR((x / spread).pow(4).mean().item<double>(), 2.7, 0.1);  // four uniforms: 3 - 6/5/4
    EXPECT_NEAR((x > 0).to(at::kDouble).mean().item<double>(), 0.5, 3 / std::sqrt(n));
  };
  expect_normal(load("model.embed_tokens.weight", {8192, 256}), 0.02);
  const at::Tensor up = load("model.layers.0.mlp.up_proj.weight", {1024, 256});
  const at::Tensor gate = load("model.layers.0.mlp.gate_proj.weight", {1024, 256});
  expect_normal(up, 1.0 / 16);
  expect_normal(gate, 1.0 / 16);
  expect_normal(load("model.layers.1.mlp.down_proj.weight", {256, 1024}), 1.0 / 32);
  // Tensors and neighbours are independent of one another.
  EXPECT_NEAR((up * gate).mean().item<double>() * 256, 0, 0.02);
  EXPECT_NEAR((up.flatten().slice(0, 1) * up.flatten().slice(0, 0, -1)).mean().item<double>() * 256, 0, 0.02);
  EXPECT_TRUE(load("model.norm.weight", {256}).eq(1).all().item<bool>());
  EXPECT_TRUE(load("vision.encoder.layers.0.layer_norm1.weight", {32}).eq(1).all().item<bool>());
  EXPECT_TRUE(load("vision.encoder.layers.0.layer_norm1.bias", {32}).eq(0).all().item<bool>());
  EXPECT_TRUE(load("vision.encoder.layers.0.mlp.fc1.bias", {48}).eq(0).all().item<bool>());
  EXPECT_LT(load("vision.embeddings.class_embedding", {32}).abs().max().item<double>(), 0.1);
}

TEST_F(InitTest, TheScaleIsThatOfEmbeddingAndResidualOutputsAlone) {
  InitRequest plain = request("llava-1.5-7b", "plain", 8192);
  plain.dtype = at::kFloat;
  init_model(plain);
  InitRequest scaled = plain;
  scaled.out = path("scaled");
  scaled.scale = {.embedding_std = 0.3, .residual = 0.18};
  init_model(scaled);
  const Checkpoint a = open_checkpoint(model_at(path("plain"))), b = open_checkpoint(model_at(path("scaled")));
  for (const TensorSpec& spec : expected_tensors(a.config)) {
    const double factor = spec.name == "model.embed_tokens.weight"                                          ? 15
                          : spec.name.ends_with("o_proj.weight") || spec.name.ends_with("down_proj.weight") ? 0.18
                                                                                                            : 1;
    const at::Tensor before = a.weights.load(spec.name, spec.shape), after = b.weights.load(spec.name, spec.shape);
    EXPECT_TRUE(at::allclose(before * factor, after, 1e-5, 1e-7)) << spec.name;
  }
  scaled.out = path("zero");
  scaled.scale.embedding_std = 0;
  EXPECT_THROW(init_model(scaled), Error);
}

TEST_F(InitTest, ABf16CheckpointIsTheFp32OneRounded) {
  InitRequest exact = request("llama-2-7b", "fp32");
  exact.dtype = at::kFloat;
  init_model(exact);
  init_model(request("llama-2-7b", "bf16"));
  const Checkpoint a = open_checkpoint(model_at(path("fp32")));
  const Checkpoint b = open_checkpoint(model_at(path("bf16")));
  const at::Tensor fp32 = a.weights.load("model.layers.1.self_attn.o_proj.weight", {64, 64});
  const at::Tensor bf16 = b.weights.load("model.layers.1.self_attn.o_proj.weight", {64, 64});
  ASSERT_EQ(bf16.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(fp32.to(at::kBFloat16), bf16));
}

TEST_F(InitTest, ShardsHoldEveryTensorOnceAndKeepToTheirSize) {
  InitRequest sharded = request("bunny-phi3-mini", "m", 1024);
  sharded.max_shard_bytes = 50'000;
  const InitResult made = init_model(sharded);
  EXPECT_GT(made.weight_files, 3U);
  const Inspection report = inspect_model(model_at(path("m")));
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.files.size(), made.weight_files);
  for (const FileReport& file : report.files) {
    EXPECT_TRUE(file.tensors == 1 || file.bytes < 50'000U + 8 + 8192) << file.path;
  }
  const auto index = read_json_file(path("m") / "model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], made.bytes);
  EXPECT_EQ(index["weight_map"].size(), report.all.tensors);
  init_model(request("bunny-phi3-mini", "whole", 1024));
  const Checkpoint parts = open_checkpoint(model_at(path("m")));
  const Checkpoint whole = open_checkpoint(model_at(path("whole")));
  for (const TensorSpec& spec : expected_tensors(made.config)) {
    ASSERT_TRUE(at::equal(parts.weights.load(spec.name, spec.shape), whole.weights.load(spec.name, spec.shape)));
  }
}

TEST_F(InitTest, LayoutsDifferInNamesAlone) {
  InitRequest hf = request("llava-1.5-7b", "hf");
  InitRequest original = request("llava-1.5-7b", "original");
  original.layout = Layout::kOriginal;
  init_model(hf);
  const InitResult made = init_model(original);
  EXPECT_EQ(made.config.family, Family::kLlavaOriginal);
  const Checkpoint a = open_checkpoint(model_at(path("hf")));
  const Checkpoint b = open_checkpoint(model_at(path("original")));
  EXPECT_EQ(a.weights.naming(), Naming::kLlavaHf);
  EXPECT_EQ(b.weights.naming(), Naming::kOriginal);
  for (const TensorSpec& spec : expected_tensors(made.config)) {
    ASSERT_TRUE(at::equal(a.weights.load(spec.name, spec.shape), b.weights.load(spec.name, spec.shape))) << spec.name;
  }
}

struct TokenizerCase {
  const char* arch;
  const char* source;
  std::int64_t used;
  std::int64_t rows;
};

std::string tokenizer_case_name(const TokenizerCase& c) {
  std::string name = cat(c.arch, "_with_", c.source);
  for (char& letter : name) {
    if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
  }
  return name;
}

class FittedTokenizer : public InitTest, public testing::WithParamInterface<TokenizerCase> {};

TEST_P(FittedTokenizer, GivesTheVocabularyAndItsRows) {
  const TokenizerCase& c = GetParam();
  InitRequest fitted = request(c.arch, "m", 0);
  fitted.tokenizer = test::testdata(std::string("tokenizers/") + c.source);
  const InitResult made = init_model(fitted);
  EXPECT_EQ(made.config.decoder.vocab_size, c.rows);
  const auto tokenizer = load_tokenizer(path("m"));
  EXPECT_EQ(tokenizer->vocab_size(), c.used);
  const ModelConfig config = read_model_config(path("m"));
  if (tokenizer->eos_id()) {
    EXPECT_EQ(config.decoder.eos_ids, std::vector{*tokenizer->eos_id()});
  }
  const Checkpoint checkpoint = open_checkpoint(model_at(path("m")));
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight"}) {
    const at::Tensor rows = checkpoint.weights.load(name, {c.rows, 64}).to(at::kFloat).abs().sum(1);
    EXPECT_TRUE(rows.slice(0, 0, c.used).gt(0).all().item<bool>()) << name;
    EXPECT_TRUE(rows.slice(0, c.used).eq(0).all().item<bool>()) << name;
  }
  if (config.family != Family::kLlavaHf) return;
  EXPECT_EQ(config.image_token_id, tokenizer->token_to_id("<image>"));
  EXPECT_EQ(config.decoder.pad_id, tokenizer->token_to_id("<pad>"));
  EXPECT_EQ(config.image_token_id, c.used - 2);
  EXPECT_TRUE(tokenizer->is_special(c.used - 2));
}

// Those whose tokenizer is there: Llama's own may be absent.
std::vector<TokenizerCase> tokenizer_cases() {
  std::vector<TokenizerCase> cases = {{"llava-1.5-7b", "llama2_style", 1002, 1024},
                                      {"llava-1.5-7b", "llama2_style/tokenizer.model", 1002, 1024},
                                      {"llava-1.5-7b", "llama2_style/tokenizer.json", 1002, 1024},
                                      {"llama-2-7b", "llama2_style/tokenizer.model", 1000, 1024},
                                      {"bunny-llama3-8b", "llama3_style/tokenizer.json.gz", 1280, 1280},
                                      {"bunny-phi3-mini", "phi3", 32011, 32064},
                                      {"llava-1.5-7b", "llama2", 32002, 32064},
                                      {"llava-1.5-7b", "llama2/tokenizer.model", 32002, 32064},
                                      {"llava-1.5-7b", "llama2/tokenizer.json", 32002, 32064},
                                      {"llama-2-7b", "llama2/tokenizer.model", 32000, 32000},
                                      {"bunny-llama3-8b", "llama3/tokenizer.json.gz", 128256, 128256},
                                      {"bunny-llama3-8b", "llama3/tokenizer.model", 128256, 128256}};
  std::erase_if(cases, [](const TokenizerCase& c) { return !test::has_tokenizer(c.source); });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Of, FittedTokenizer, testing::ValuesIn(tokenizer_cases()),
                         [](const auto& info) { return tokenizer_case_name(info.param); });

TEST_F(InitTest, AVocabularyTooSmallForTheTokenizerIsRefused) {
  InitRequest bad = request("llama-2-7b", "m", 100);
  bad.tokenizer = test::testdata("tokenizers/llama2_style/tokenizer.model");
  EXPECT_ERROR(init_model(bad), "`vocab` 100");
}

TEST_F(InitTest, NothingIsLeftOfACheckpointThatFailed) {
  write_file(path("broken.model"), "no tokenizer at all");
  InitRequest bad = request("llama-2-7b", "m", 0);
  bad.tokenizer = path("broken.model");
  EXPECT_ERROR(init_model(bad), "neither a tokenizer.json");
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_.path())) left.push_back(entry.path().filename());
  EXPECT_EQ(left, std::vector<std::string>{"broken.model"});
}

TEST_F(InitTest, AFolderInUseIsRefusedAndAnEmptyOneTaken) {
  fs::create_directory(path("empty"));
  init_model(request("llama-2-7b", "empty"));
  EXPECT_TRUE(fs::exists(path("empty") / "model.safetensors"));
  const auto before = fs::last_write_time(path("empty") / "model.safetensors");
  EXPECT_ERROR(init_model(request("llama-2-7b", "empty")), "exists and is not empty");
  EXPECT_EQ(fs::last_write_time(path("empty") / "model.safetensors"), before);
  write_file(path("file"), "x");
  EXPECT_ERROR(init_model(request("llama-2-7b", "file")), "exists and is not a folder");
  init_model(request("llama-2-7b", "deep/er/m/"));
  EXPECT_TRUE(fs::exists(path("deep/er/m/config.json")));
}

// What the refusal says.
Error refusal(const InitRequest& request) {
  try {
    init_model(request);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::kInternal, "nothing was refused");
}

TEST_F(InitTest, AModelThatDoesNotFitOnTheDiskIsRefusedBeforeItIsWritten) {
  InitRequest huge = request("llama-2-7b", "m", 0);
  huge.changes.hidden = 1 << 18;
  huge.changes.layers = 500;
  huge.changes.heads = 64;
  const Error error = refusal(huge);
  EXPECT_EQ(error.kind(), ErrorKind::kResource);
  EXPECT_EQ(error.exit_code(), 1);
  EXPECT_NE(std::string(error.what()).find("free"), std::string::npos) << error.what();
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(InitTest, ImpossibleShapesAreRefusedByName) {
  struct Case {
    const char* arch;
    std::function<void(InitRequest&)> change;
    const char* words;
  };
  const std::vector<Case> cases = {
      {"llama-2-7b", [](auto& r) { r.changes.heads = 5; }, "5 heads"},
      {"llama-2-7b", [](auto& r) { r.changes.kv_heads = 3; }, "`kv_heads` 3"},
      {"llama-2-7b", [](auto& r) { r.changes.head_dim = 7; }, "7"},
      {"llama-2-7b",
       [](auto& r) {
         r.changes.heads.reset();
         r.changes.hidden = 100;
       },
       "`hidden` 100"},
      {"llama-2-7b", [](auto& r) { r.changes.layers = 0; }, "`layers` 0"},
      {"llama-2-7b", [](auto& r) { r.changes.mlp = -4; }, "`mlp` -4"},
      {"llama-2-7b", [](auto& r) { r.changes.image_size = 56; }, "no vision tower"},
      {"llama-2-7b", [](auto& r) { r.changes.sliding_window = 5; }, "`sliding_window`"},
      {"llama-2-7b", [](auto& r) { r.layout = Layout::kOriginal; }, "`layout` original"},
      {"bunny-phi3-mini", [](auto& r) { r.layout = Layout::kHf; }, "`layout` hf"},
      {"bunny-phi3-mini", [](auto& r) { r.changes.vision_heads = 3; }, "3 vision heads"},
      {"bunny-phi3-mini", [](auto& r) { r.changes.patch_size = 29; }, "`patch_size` 29"},
      {"bunny-phi3-mini", [](auto& r) { r.changes.projector = "resampler"; }, "resampler"},
      {"llava-1.5-7b", [](auto& r) { r.changes.projector = "linear"; }, "llava-hf"},
      {"llava-1.5-7b", [](auto& r) { r.changes.vocab = 4; }, "`vocab` 4"},
      {"llava-1.5-7b", [](auto& r) { r.max_shard_bytes = 0; }, "`max_shard_size`"},
      {"llava-1.5-7b", [](auto& r) { r.arch = "llava-1.5-70b"; }, "llava-1.5-70b"},
      {"llava-1.5-7b", [](auto& r) { r.out = "."; }, "`out`"},
  };
  for (const Case& c : cases) {
    InitRequest bad = request(c.arch, "m");
    c.change(bad);
    const Error error = refusal(bad);
    EXPECT_EQ(error.kind(), ErrorKind::kInvalidInput) << c.words << ": " << error.what();
    EXPECT_NE(std::string(error.what()).find(c.words), std::string::npos) << error.what();
    EXPECT_FALSE(error.hint().empty()) << error.what();
  }
  EXPECT_TRUE(fs::is_empty(folder_.path()));
}

TEST_F(InitTest, AMistypedArchitectureGetsItsNearestName) {
  EXPECT_NE(refusal([] {
              InitRequest r;
              r.arch = "llava-1.5-7B";
              return r;
            }())
                .hint()
                .find("llava-1.5-7b"),
            std::string::npos);
}

TEST_F(InitTest, SizesNotGivenFollowTheArchitecture) {
  ShapeChanges narrow;
  narrow.hidden = 512;
  const ModelConfig llama3 = shaped_config(find_architecture("llama-3-8b"), std::nullopt, narrow);
  EXPECT_EQ(llama3.decoder.heads, 4);  // of 128, as published
  EXPECT_EQ(llama3.decoder.kv_heads, 1);
  EXPECT_EQ(llama3.decoder.mlp_size, 1792);  // 3.5 times the width
  const ModelConfig published = shaped_config(find_architecture("llava-1.5-13b"), std::nullopt, {});
  EXPECT_EQ(published.decoder.mlp_size, 13824);
  EXPECT_EQ(published.decoder.vocab_size, 32064);
  EXPECT_EQ(shaped_config(find_architecture("llava-1.5-13b"), Layout::kOriginal, {}).decoder.vocab_size, 32000);
}

}  // namespace
}  // namespace striate

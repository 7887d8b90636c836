#include "striate/edit/model_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/edit/history.h"
#include "striate/edit/logits_check.h"
#include "striate/files/weight_file.h"
#include "striate/model/adapter_file.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/small_checkpoint.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr double kSameWeights = 1e-5;

class Folders : public testing::TestWithParam<SmallCheckpoint> {
 protected:
  Folders() { make_checkpoint(path("base"), GetParam()); }

  fs::path path(const std::string& name) const { return home_.path() / name; }
  double difference(const std::vector<at::Tensor>& live, const Checkpoint& written) const {
    const auto inputs = probe_inputs(written.config);
    return compare_logits(inputs, live, probe_logits(written, inputs)).relative();
  }

  TemporaryFolder home_;
};

TEST_P(Folders, AModelWrittenUnchangedIsTheSameBytes) {
  const Checkpoint base = open_small(path("base"));
  write_model_folder(path("out"), base, {});
  EXPECT_EQ(tensor_names(path("out")), tensor_names(path("base")));
  EXPECT_TRUE(read_file(path("out") / "model.safetensors") == read_file(path("base") / "model.safetensors"));
  EXPECT_EQ(read_json_file(path("out") / "config.json"), read_json_file(path("base") / "config.json"));
}

TEST_P(Folders, AMergedAdapterGivesTheLiveModelsLogits) {
  const Checkpoint base = open_small(path("base"));
  make_adapter(path("adapter"), base, {1, 3});
  const Checkpoint adapted = open_small(path("base"), path("adapter"));
  const FolderResult result = write_model_folder(path("out"), adapted, {});
  const auto inputs = probe_inputs(base.config);
  const auto live = probe_logits(adapted, inputs);
  EXPECT_GT(compare_logits(inputs, live, probe_logits(base, inputs)).relative(), 0.01) << "the adapter changes nothing";
  EXPECT_LE(difference(live, open_small(path("out"))), kSameWeights);
  EXPECT_EQ(tensor_names(path("out")), tensor_names(path("base")));
  EXPECT_EQ(result.rounding, 0);
  EXPECT_NEAR(result.change_kept.value(), 1, 1e-4);
}

TEST_P(Folders, APrunedModelGivesTheLiveModelsLogitsWithThoseLayersGone) {
  const Checkpoint base = open_small(path("base"));
  ModelChange change;
  change.keep = LayerSet(5, {0, 2, 4});
  write_model_folder(path("out"), base, change);
  const Checkpoint written = open_small(path("out"));
  EXPECT_EQ(written.config.decoder.layers, 3);
  const Lvlm live = load_model(base, Placement{at::kCPU, Compute::kFloat32})->without_layers(LayerSet(5, {1, 3}));
  EXPECT_LE(difference(probe_logits(live, probe_inputs(written.config)), written), kSameWeights);
  for (const std::string& name : tensor_names(path("out"))) {
    EXPECT_THAT(name, testing::Not(testing::ContainsRegex("(model|language_model)\\.layers\\.[345]\\.")));
  }
}

TEST_P(Folders, PruningMergesTheAdapterOfTheLayersThatStay) {
  const Checkpoint base = open_small(path("base"));
  make_adapter(path("adapter"), base, {1, 3});
  const Checkpoint adapted = open_small(path("base"), path("adapter"));
  ModelChange change;
  change.keep = LayerSet(5, {0, 3, 4});
  write_model_folder(path("out"), adapted, change);
  const Lvlm live = load_model(adapted, Placement{at::kCPU, Compute::kFloat32})->without_layers(LayerSet(5, {1, 2}));
  const Checkpoint written = open_small(path("out"));
  EXPECT_LE(difference(probe_logits(live, probe_inputs(written.config)), written), kSameWeights);
}

TEST_P(Folders, ShardsAreTheSizesTheirHeadersSay) {
  const Checkpoint base = open_small(path("base"));
  FolderOptions options;
  options.max_shard_bytes = 30'000;
  const FolderResult result = write_model_folder(path("out"), base, {}, options);
  EXPECT_GT(result.weight_files, 3U);
  std::uint64_t files = 0;
  std::uint64_t data = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(path("out"))) {
    if (entry.path().extension() != ".safetensors") continue;
    ++files;
    std::ifstream file(entry.path(), std::ios::binary);
    std::uint64_t header = 0;
    file.read(reinterpret_cast<char*>(&header), sizeof header);
    std::uint64_t bytes = 0;
    const auto opened = open_safetensors(entry.path());
    for (const TensorInfo& info : opened->tensors()) bytes += info.bytes;
    EXPECT_EQ(entry.file_size(), sizeof header + header + bytes) << entry.path();
    data += bytes;
  }
  EXPECT_EQ(files, result.weight_files);
  EXPECT_EQ(data, result.bytes);
  EXPECT_EQ(read_json_file(path("out") / "model.safetensors.index.json").at("metadata").at("total_size"), data);
  EXPECT_LE(difference(probe_logits(base, probe_inputs(base.config)), open_small(path("out"))), 1e-6);
}

TEST_P(Folders, OtherTypesStayWithinWhatTheirRoundingExplains) {
  const Checkpoint base = open_small(path("base"));
  const auto live = probe_logits(base, probe_inputs(base.config));
  for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf}) {
    FolderOptions options;
    options.dtype = dtype;
    const fs::path out = path(c10::toString(dtype));
    const FolderResult result = write_model_folder(out, base, {}, options);
    EXPECT_EQ(result.rounding, rounding_of(dtype));
    const auto opened = open_weight_directory(out);
    for (const TensorInfo& info : opened->tensors()) EXPECT_EQ(info.dtype, dtype);
    const double found = difference(live, open_small(out));
    EXPECT_GT(found, kSameWeights);
    EXPECT_LE(found, logits_tolerance(result.rounding, base.config.decoder.layers));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Folders, testing::ValuesIn(every_family()), kFamilyName);

class Folder : public testing::Test {
 protected:
  fs::path path(const std::string& name) const { return home_.path() / name; }
  TemporaryFolder home_;
};

TEST_F(Folder, PrunedTwiceItKnowsTheFirstNumbers) {
  make_checkpoint(path("base"), {.layers = 6});
  ModelChange first;
  first.keep = LayerSet(6, {0, 1, 3, 5});
  const Checkpoint base = open_small(path("base"));
  FolderOptions options;
  options.record = model_history("striate prune", "1", base, first);
  write_model_folder(path("once"), base, first, options);
  const Checkpoint once = open_small(path("once"));
  ModelChange second;
  second.keep = LayerSet(4, {0, 2, 3});
  options.record = model_history("striate prune", "1", once, second);
  write_model_folder(path("twice"), once, second, options);
  const json layers = read_json_file(path("twice") / "striate.json").at("layers");
  EXPECT_EQ(layers.at("of"), 6);
  EXPECT_EQ(layers.at("original"), json({0, 3, 5}));
  EXPECT_EQ(layers.at("removed"), json({1, 2, 4}));
  EXPECT_EQ(layers.at("removed_now"), json({1}));
  // What is made from it without removing more keeps the numbers.
  const Checkpoint twice = open_small(path("twice"));
  EXPECT_EQ(model_history("striate export", "1", twice, {}).fields().at("layers").at("original"), json({0, 3, 5}));
}

TEST_F(Folder, AHistoryOfAnotherModelIsRefused) {
  make_checkpoint(path("base"), {.layers = 4});
  for (const char* layers : {R"({"of": 9, "original": [0, 1]})", R"({"of": 9})", R"({"of": 4, "original": [0,2,1,3]})",
                             R"({"of": 3, "original": [0,1,2,3]})", R"("all")"}) {
    write_file(path("base") / "striate.json", cat(R"({"layers": )", layers, "}"));
    EXPECT_ERROR(model_history("striate export", "1", open_small(path("base")), {}), "striate.json") << layers;
  }
}

TEST_F(Folder, SmallUpdatesLostToRoundingAreTold) {
  make_checkpoint(path("base"), {.dtype = at::kBFloat16});
  const Checkpoint base = open_small(path("base"));
  make_adapter(path("small"), base, {0, 1, 2, 3, 4}, true, 0.004);
  make_adapter(path("large"), base, {0, 1, 2, 3, 4}, true, 0.5);
  const FolderResult small = write_model_folder(path("s"), open_small(path("base"), path("small")), {});
  const FolderResult large = write_model_folder(path("l"), open_small(path("base"), path("large")), {});
  EXPECT_LT(small.change_kept.value(), 0.7);
  EXPECT_NEAR(large.change_kept.value(), 1, 0.01);
  FolderOptions exact;
  exact.dtype = at::kFloat;
  const FolderResult whole = write_model_folder(path("f"), open_small(path("base"), path("small")), {}, exact);
  EXPECT_NEAR(whole.change_kept.value(), 1, 1e-3);
  EXPECT_EQ(whole.rounding, 0);
  EXPECT_EQ(read_json_file(path("f") / "config.json").at("text_config").value("torch_dtype", ""), "float32");
}

TEST_F(Folder, AMergeIsRoundedOnceFromFp32) {
  make_checkpoint(path("base"), {.dtype = at::kBFloat16});
  const Checkpoint base = open_small(path("base"));
  make_adapter(path("adapter"), base, {2});
  const Checkpoint adapted = open_small(path("base"), path("adapter"));
  write_model_folder(path("out"), adapted, {});
  const AdapterFile adapter(path("adapter"));
  const AdapterPair& pair = *adapter.find(2, "mlp.down_proj");
  const at::Tensor w = base.weights.load("model.layers.2.mlp.down_proj.weight", {32, 48}).to(at::kDouble);
  const at::Tensor exact =
      w + 2.0 * adapter.load(*pair.b).to(at::kDouble).matmul(adapter.load(*pair.a).to(at::kDouble));
  const at::Tensor got = open_small(path("out")).weights.load("model.layers.2.mlp.down_proj.weight", {32, 48});
  const at::Tensor nearest = exact.to(at::kBFloat16);
  EXPECT_GE(got.eq(nearest).to(at::kFloat).mean().item<double>(), 0.999);
}

TEST_F(Folder, ATowerInAFolderOfItsOwnStaysThere) {
  make_checkpoint(path("base"), {.arch = "bunny-llama3-8b", .layout = Layout::kOriginal});
  const Checkpoint whole = open_small(path("base"));
  const fs::path tower = path("base") / whole.config.vision_tower_name;
  std::vector<std::pair<std::string, at::Tensor>> own, rest;
  const auto opened = open_weight_directory(path("base"));
  for (const TensorInfo& info : opened->tensors()) {
    const bool vision = info.name.find("vision_model.") != std::string::npos;
    const at::Tensor value = opened->load(info.name).clone();
    if (vision) own.emplace_back(info.name.substr(info.name.find("vision_model.")), value);
    if (!vision) rest.emplace_back(info.name, value);
  }
  own.emplace_back("text_model.embeddings.position_ids", at::arange(7));  // what a published CLIP folder holds besides
  const auto inputs = probe_inputs(whole.config);
  const auto live = probe_logits(whole, inputs);
  write_safetensors(tower / "model.safetensors", own);
  write_safetensors(path("base") / "model.safetensors", rest);
  FolderOptions half;
  half.dtype = at::kBFloat16;
  write_model_folder(path("out"), open_small(path("base")), {}, half);
  write_model_folder(path("same"), open_small(path("base")), {});
  EXPECT_EQ(tensor_names(path("same") / whole.config.vision_tower_name), tensor_names(tower));
  EXPECT_EQ(tensor_names(path("same")), tensor_names(path("base")));
  EXPECT_LE(compare_logits(inputs, live, probe_logits(open_small(path("same")), inputs)).relative(), 1e-6);
  EXPECT_EQ(open_weight_directory(path("out") / whole.config.vision_tower_name)
                ->find("text_model.embeddings.position_ids")
                ->dtype,
            at::kLong);
}

TEST_F(Folder, ValuesBeyondFp16AreRefusedByName) {
  make_checkpoint(path("base"));
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  const auto file = open_weight_directory(path("base"));
  for (const TensorInfo& info : file->tensors()) tensors.emplace_back(info.name, file->load(info.name).clone());
  tensors.front().second.fill_(1e6);
  fs::create_directories(path("big"));
  write_file(path("big") / "config.json", read_file(path("base") / "config.json"));
  write_safetensors(path("big") / "model.safetensors", tensors);
  FolderOptions half;
  half.dtype = at::kHalf;
  try {
    write_model_folder(path("out"), open_small(path("big")), {}, half);
    FAIL() << "written";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(tensors.front().first));
    EXPECT_EQ(error.exit_code(), 2);
  }
}

TEST_F(Folder, AnAdapterOfAnotherModelIsRefusedBeforeAnythingIsWritten) {
  make_checkpoint(path("base"));
  make_checkpoint(path("deep"), {.layers = 9});
  make_checkpoint(path("phi"), {.arch = "bunny-phi3-mini", .layout = Layout::kOriginal});
  make_adapter(path("a"), open_small(path("deep")), {8}, false);
  make_adapter(path("b"), open_small(path("phi")), {1}, false);
  for (const char* adapter : {"a", "b"}) {
    EXPECT_ERROR(write_model_folder(path("out"), open_small(path("base"), path(adapter)), {}), "the adapter on layer ");
    EXPECT_FALSE(fs::exists(path("out")));
  }
}

TEST_F(Folder, LayersOfAnotherDecoderCannotBeKept) {
  make_checkpoint(path("base"));
  ModelChange change;
  change.keep = LayerSet(6, {0, 5});
  EXPECT_ERROR(write_model_folder(path("out"), open_small(path("base")), change), " cannot be kept");
}

// A disk that is full after some bytes, as the process sees it.
TEST_F(Folder, ADiskThatFillsUpLeavesNothing) {
  make_checkpoint(path("base"));
  const Checkpoint base = open_small(path("base"));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 20'000;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::optional<ErrorKind> thrown;
  try {
    AtomicFolder folder(path("out"));
    write_model_folder(folder.path(), base, {});
    folder.commit();
  } catch (const Error& error) {
    thrown = error.kind();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(thrown, ErrorKind::kResource);
  std::vector<std::string> left;
  for (const fs::directory_entry& entry : fs::directory_iterator(home_.path())) left.push_back(entry.path().filename());
  EXPECT_THAT(left, testing::ElementsAre("base"));
}

}  // namespace
}  // namespace striate::test

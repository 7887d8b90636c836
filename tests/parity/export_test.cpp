// Models written as folders against the goldens: pruned, merged, and in their original naming.
#include <gtest/gtest.h>

#include <set>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/model/load.h"
#include "striate/region/adapter_folder.h"
#include "striate/region/model_folder.h"
#include "tests/parity/golden.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const Placement kReference{at::kCPU, Compute::kFloat32};

Checkpoint open_folder(const fs::path& folder, const std::optional<fs::path>& adapter = std::nullopt) {
  ModelPaths paths;
  paths.model = folder;
  paths.adapter = adapter;
  return open_checkpoint(paths);
}

// Last position's logits and the loss of the golden's sample.
void compare_outcome(const Golden& golden, const Lvlm& model, const std::string& prefix) {
  const std::vector<Sample> samples = golden.samples(model);
  const PackedBatch batch = pack(samples);
  const at::Tensor stream = model.forward(batch);
  golden.compare(prefix + ".logits_last", model.logits(stream)[-1]);
  golden.compare(prefix + ".loss", model.target_nll(stream, batch).mean());
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  const auto opened = open_weight_directory(folder);
  for (const TensorInfo& info : opened->tensors()) names.insert(info.name);
  return names;
}

// The golden's adapter on disk.
void write_golden_adapter(const Golden& golden, const fs::path& folder) {
  fs::create_directories(folder);
  const json& lora = golden.json().at("lora");
  write_file(folder / "adapter_config.json",
             json{{"peft_type", "LORA"}, {"r", lora.at("rank")}, {"lora_alpha", lora.at("alpha")}}.dump());
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const std::string target : lora.at("targets")) {
    for (const char* half : {"A", "B"}) {
      tensors.emplace_back(cat("base_model.model.model.", target, ".lora_", half, ".weight"),
                           golden.load(cat("lora.", target, ".", half)));
    }
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
}

class Written : public testing::TestWithParam<fs::path> {
 protected:
  fs::path path(const std::string& name) const { return home_.path() / name; }
  TemporaryFolder home_;
};

TEST_P(Written, PrunedModelsGiveTheGoldensLogitsAndLoss) {
  const Golden golden(GetParam());
  if (!golden.has("prune.bi2.removed")) GTEST_SKIP() << "this case has no pruned model";
  const Checkpoint source = open_folder(golden.model_folder());
  for (const std::string prefix : {"prune.bi2", "prune.block2"}) {
    std::vector<std::int64_t> removed;
    const at::Tensor list = golden.load(prefix + ".removed");
    for (std::int64_t i = 0; i < list.numel(); ++i) removed.push_back(list[i].item<std::int64_t>());
    ModelChange change;
    for (std::int64_t layer = 0; layer < source.config.decoder.layers; ++layer) {
      if (std::find(removed.begin(), removed.end(), layer) == removed.end()) change.keep.push_back(layer);
    }
    FolderOptions exact;
    exact.dtype = at::kFloat;
    write_model_folder(path(prefix), source, change, exact);
    compare_outcome(golden, *load_model(open_folder(path(prefix)), kReference), prefix);
    compare_outcome(golden, load_model(source, kReference)->without_layers(removed), prefix);
  }
}

TEST_P(Written, MergedAndExportedAdaptersGiveTheGoldensLogits) {
  const Golden golden(GetParam());
  if (!golden.has("lora.logits")) GTEST_SKIP() << "this case has no adapter";
  write_golden_adapter(golden, path("adapter"));
  const Checkpoint adapted = open_folder(golden.model_folder(), path("adapter"));
  FolderOptions exact;
  exact.dtype = at::kFloat;
  write_model_folder(path("merged"), adapted, {}, exact);
  write_adapter_folder(path("peft"), AdapterFile(path("adapter")), adapted.config.family, golden.model_folder());
  for (const Checkpoint& written : {open_folder(path("merged")), open_folder(golden.model_folder(), path("peft"))}) {
    const auto model = load_model(written, kReference);
    const std::vector<Sample> samples = golden.samples(*model);
    golden.compare("lora.logits", model->logits(model->forward(pack(samples))));
  }
}

TEST_P(Written, NamesAreThoseOfTheSource) {
  const Golden golden(GetParam());
  write_model_folder(path("out"), open_folder(golden.model_folder()), {});
  EXPECT_EQ(names_in(path("out")), names_in(golden.model_folder()));
}

INSTANTIATE_TEST_SUITE_P(Goldens, Written, testing::ValuesIn(Golden::all_cases()),
                         [](const auto& info) { return info.param.filename().string(); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Written);

// The golden's llava-hf checkpoint in the authors' layout, as name_map_original_llava.json and its config say.
TEST(WrittenOriginalLlava, KeepsTheAuthorsNames) {
  STRIATE_REQUIRE_GOLDENS();
  const TemporaryFolder home;
  std::size_t cases = 0;
  for (const fs::path& folder : Golden::all_cases()) {
    const fs::path model = Golden(folder).model_folder();
    if (!fs::exists(model / "name_map_original_llava.json") || cases > 0) continue;
    ++cases;
    const json map = read_json_file(model / "name_map_original_llava.json");
    const auto file = open_weight_directory(model);
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    std::set<std::string> mapped;
    for (const auto& [hf, original] : map.items()) {
      if (file->find(hf) == nullptr) continue;
      tensors.emplace_back(original.get<std::string>(), file->load(hf));
      mapped.insert(original.get<std::string>());
    }
    const fs::path original = home.path() / "original";
    json config = read_json_file(model / "config_original_llava.json");
    const std::string tower = "tower";
    config["mm_vision_tower"] = tower;
    fs::create_directories(original / tower);
    write_file(original / "config.json", config.dump());
    write_file(original / tower / "config.json", read_json_file(model / "config.json").at("vision_config").dump());
    write_safetensors(original / "model.safetensors", tensors);
    ModelChange change;
    change.keep = {0, 1, 2, 3};
    write_model_folder(home.path() / "whole", open_folder(original), {});
    write_model_folder(home.path() / "pruned", open_folder(original), change);
    EXPECT_EQ(names_in(home.path() / "whole"), mapped);
    for (auto name = mapped.begin(); name != mapped.end();) {
      name = name->starts_with("model.layers.4.") || name->starts_with("model.layers.5.") ? mapped.erase(name)
                                                                                          : std::next(name);
    }
    EXPECT_EQ(names_in(home.path() / "pruned"), mapped);
  }
  if (cases == 0) GTEST_SKIP() << "no golden has a name map";
}

}  // namespace
}  // namespace striate::test

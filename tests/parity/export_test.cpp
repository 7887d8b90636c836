// Models written as folders against the goldens: pruned, merged, and in their original naming.
#include <gtest/gtest.h>

#include <set>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/edit/adapter_folder.h"
#include "striate/edit/model_folder.h"
#include "striate/model/load.h"
#include "tests/parity/golden.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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
class WrittenPruned : public Written {};
class WrittenAdapters : public Written {};
class WrittenOriginalLlava : public Written {};

TEST_P(WrittenPruned, ModelsGiveTheGoldensLogitsAndLoss) {
  const Golden golden(GetParam());
  const Checkpoint source = open_folder(golden.model_folder());
  for (const std::string prefix : {"prune.bi2", "prune.block2"}) {
    std::vector<std::int64_t> numbers;
    const at::Tensor list = golden.load(prefix + ".removed");
    for (std::int64_t i = 0; i < list.numel(); ++i) numbers.push_back(list[i].item<std::int64_t>());
    const LayerSet removed(source.config.decoder.layers, std::move(numbers));
    ModelChange change;
    change.keep = removed.complement();
    FolderOptions exact;
    exact.dtype = at::kFloat;
    write_model_folder(path(prefix), source, change, exact);
    compare_outcome(golden, *load_model(open_folder(path(prefix)), exact_placement()), prefix);
    compare_outcome(golden, load_model(source, exact_placement())->without_layers(removed), prefix);
  }
}

TEST_P(WrittenAdapters, MergedAndExportedGiveTheGoldensLogits) {
  const Golden golden(GetParam());
  write_golden_adapter(golden, path("adapter"));
  const Checkpoint adapted = open_folder(golden.model_folder(), path("adapter"));
  FolderOptions exact;
  exact.dtype = at::kFloat;
  write_model_folder(path("merged"), adapted, {}, exact);
  write_adapter_folder(path("peft"), AdapterFile(path("adapter")), adapted.config.family, golden.model_folder());
  for (const Checkpoint& written : {open_folder(path("merged")), open_folder(golden.model_folder(), path("peft"))}) {
    const auto model = load_model(written, exact_placement());
    const std::vector<Sample> samples = golden.samples(*model);
    golden.compare("lora.logits", model->logits(model->forward(pack(samples))));
  }
}

TEST_P(Written, NamesAreThoseOfTheSource) {
  const Golden golden(GetParam());
  write_model_folder(path("out"), open_folder(golden.model_folder()), {});
  EXPECT_EQ(names_in(path("out")), names_in(golden.model_folder()));
}

INSTANTIATE_TEST_SUITE_P(Goldens, Written, testing::ValuesIn(Golden::all_cases()), kCaseName);
INSTANTIATE_TEST_SUITE_P(Goldens, WrittenPruned, testing::ValuesIn(Golden::cases_with("prune.bi2.removed")), kCaseName);
INSTANTIATE_TEST_SUITE_P(Goldens, WrittenAdapters, testing::ValuesIn(Golden::cases_with("lora.logits")), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Written);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WrittenPruned);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WrittenAdapters);

constexpr const char* kNameMap = "name_map_original_llava.json";

// The goldens that say how the authors name and configure their model.
std::vector<fs::path> cases_in_the_authors_names() {
  std::vector<fs::path> found = Golden::all_cases();
  std::erase_if(found, [](const fs::path& folder) { return !fs::exists(Golden(folder).model_folder() / kNameMap); });
  return found;
}

// The golden's llava-hf checkpoint in the authors' layout at `folder`; the names of its tensors.
std::set<std::string> write_in_the_authors_names(const fs::path& model, const fs::path& folder) {
  const auto file = open_weight_directory(model);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::set<std::string> names;
  const json map = read_json_file(model / kNameMap);
  for (const auto& [hf, original] : map.items()) {
    if (file->find(hf) == nullptr) continue;
    tensors.emplace_back(original.get<std::string>(), file->load(hf));
    names.insert(original.get<std::string>());
  }
  json config = read_json_file(model / "config_original_llava.json");
  config["mm_vision_tower"] = "tower";
  fs::create_directories(folder / "tower");
  write_file(folder / "config.json", config.dump());
  write_file(folder / "tower" / "config.json", read_json_file(model / "config.json").at("vision_config").dump());
  write_safetensors(folder / "model.safetensors", tensors);
  return names;
}

TEST_P(WrittenOriginalLlava, KeepsTheAuthorsNames) {
  std::set<std::string> names = write_in_the_authors_names(Golden(GetParam()).model_folder(), path("original"));
  const Checkpoint source = open_folder(path("original"));
  write_model_folder(path("whole"), source, {});
  EXPECT_EQ(names_in(path("whole")), names);

  const std::int64_t layers = source.config.decoder.layers;
  std::vector<std::int64_t> lower;
  for (std::int64_t layer = 0; layer < (layers + 1) / 2; ++layer) lower.push_back(layer);
  ModelChange first_half;
  first_half.keep = LayerSet(layers, lower);
  write_model_folder(path("pruned"), source, first_half);
  for (std::int64_t layer = (layers + 1) / 2; layer < layers; ++layer) {
    const std::string prefix = cat("model.layers.", layer, ".");
    std::erase_if(names, [&](const std::string& name) { return name.starts_with(prefix); });
  }
  EXPECT_EQ(names_in(path("pruned")), names);
}

INSTANTIATE_TEST_SUITE_P(Goldens, WrittenOriginalLlava, testing::ValuesIn(cases_in_the_authors_names()), kCaseName);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WrittenOriginalLlava);

}  // namespace
}  // namespace striate::test

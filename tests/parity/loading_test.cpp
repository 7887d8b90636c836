// The same weights under every published naming, in parts, and with adapters: always the golden's numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/strings.h"
#include "striate/model/load.h"
#include "tests/parity/golden.h"
#include "tests/support/errors.h"
#include "tests/support/paths.h"
#include "tests/support/test_device.h"
#include "tests/support/weights.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Tensors = std::vector<std::pair<std::string, at::Tensor>>;

// The first case with an image whose model is in llava-hf naming. Throws where there is none.
Golden llava_case() {
  for (const fs::path& folder : Golden::all_cases()) {
    Golden golden(folder);
    const json config = read_json_file(golden.model_folder() / "config.json");
    if (config.value("model_type", "") == "llava" && golden.has("pixel_values") && golden.has("lora.logits"))
      return golden;
  }
  throw std::runtime_error("the goldens have no LLaVA case");
}

// The case's tensors whose canonical name `choose` renames; empty names are left out.
Tensors renamed(const Golden& golden, const std::function<std::string(const std::string&)>& choose) {
  const auto weights = open_weight_directory(golden.model_folder());
  Tensors out;
  for (const TensorInfo& info : weights->tensors()) {
    const std::string name = choose(canonical_name(info.name).value_or(""));
    if (!name.empty()) out.emplace_back(name, weights->load(info.name));
  }
  return out;
}

void write_model(const fs::path& folder, const json& config, const Tensors& tensors) {
  fs::create_directories(folder);
  write_file(folder / "config.json", config.dump(1));
  write_safetensors(folder / "model.safetensors", tensors);
}

json config_of(const Golden& golden) {
  return read_json_file(golden.model_folder() / "config.json");
}

// What the original LLaVA writes of the same model.
json original_config(const Golden& golden) {
  json config = config_of(golden).at("text_config");
  config["model_type"] = "llava_llama";
  config["mm_vision_tower"] = "openai/clip-vit-large-patch14-336";
  config["mm_projector_type"] = "mlp2x_gelu";
  config["mm_hidden_size"] = config_of(golden).at("vision_config").at("hidden_size");
  config["mm_vision_select_layer"] = -2;
  config["image_aspect_ratio"] = "pad";
  return config;
}

void write_vision_tower(const Golden& golden, const fs::path& folder) {
  write_model(folder, config_of(golden).at("vision_config"), renamed(golden, [](const std::string& name) {
                return name.starts_with("vision.") ? "vision_model." + name.substr(7) : "";
              }));
}

void expect_golden_logits(const Golden& golden, const ModelPaths& paths, const std::string& tensor = "logits") {
  const auto model = load_model(open_checkpoint(paths), exact_placement());
  const std::vector<Sample> samples = golden.samples(*model);
  golden.compare(tensor, model->logits(model->forward(pack(samples))));
}

ModelPaths whole(const fs::path& model) {
  ModelPaths paths;
  paths.model = model;
  return paths;
}

// The golden's LoRA pairs as an adapter folder; `name` makes a file's name of a module and "A" or "B".
void write_adapter(const Golden& golden, const fs::path& folder,
                   const std::function<std::string(const std::string&, const std::string&)>& name) {
  const json& lora = golden.json().at("lora");
  fs::create_directories(folder);
  write_file(folder / "adapter_config.json", json{{"peft_type", "LORA"},
                                                  {"r", lora.at("rank")},
                                                  {"lora_alpha", lora.at("alpha")},
                                                  {"target_modules", "all-linear"}}
                                                 .dump());
  Tensors tensors;
  for (const std::string target : lora.at("targets")) {
    for (const char* half : {"A", "B"})
      tensors.emplace_back(name(target, half), golden.load(cat("lora.", target, ".", half)));
  }
  write_safetensors(folder / "adapter_model.safetensors", tensors);
}

std::string peft_name(const std::string& module, const std::string& half) {
  return cat("base_model.model.language_model.model.", module, ".lora_", half, ".weight");
}

TEST(Naming, OriginalNamesAreTheGoldensMap) {
  const Golden golden = llava_case();
  const fs::path file = golden.model_folder() / "name_map_original_llava.json";
  const json map = read_json_file(file);
  for (const auto& [hf, original] : map.items()) {
    const auto canonical = canonical_name(hf);
    ASSERT_TRUE(canonical) << hf;
    EXPECT_EQ(file_name(*canonical, Naming::kOriginal), original.get<std::string>());
    EXPECT_EQ(file_name(*canonical, Naming::kLlavaHf), hf);
    EXPECT_EQ(canonical_name(original.get<std::string>()), canonical);
  }
}

TEST(Loading, EveryNamingOfTheSameWeightsGivesTheGoldensLogits) {
  const Golden golden = llava_case();
  const TemporaryFolder folder;
  write_vision_tower(golden, folder.path() / "clip");
  for (const Naming naming : {Naming::kLlavaHf, Naming::kLlavaHfNew, Naming::kOriginal}) {
    const fs::path model = folder.path() / naming_title(naming).substr(0, 8);
    const bool original = naming == Naming::kOriginal;
    write_model(model, original ? original_config(golden) : config_of(golden),
                renamed(golden, [&](const std::string& name) { return file_name(name, naming); }));
    ModelPaths paths = whole(model);
    if (original) paths.vision_tower = folder.path() / "clip";  // its config: the original only names the tower
    expect_golden_logits(golden, paths);
    EXPECT_EQ(open_checkpoint(paths).weights.naming(), naming);
    fs::remove_all(model);
  }
}

TEST(Loading, ATowerThatIsNotInTheCheckpointComesFromItsFolder) {
  const Golden golden = llava_case();
  const TemporaryFolder folder;
  const Tensors without_tower = renamed(golden, [](const std::string& name) {
    return name.starts_with("vision.") ? "" : file_name(name, Naming::kOriginal);
  });
  write_model(folder.path() / "model", original_config(golden), without_tower);
  write_vision_tower(golden, folder.path() / "clip");
  ModelPaths paths = whole(folder.path() / "model");
  paths.vision_tower = folder.path() / "clip";
  expect_golden_logits(golden, paths);

  // The config may name a folder beside it.
  json config = original_config(golden);
  config["mm_vision_tower"] = "clip";
  write_file(folder.path() / "model" / "config.json", config.dump());
  fs::rename(folder.path() / "clip", folder.path() / "model" / "clip");
  expect_golden_logits(golden, whole(folder.path() / "model"));

  fs::remove(folder.path() / "model" / "clip" / "model.safetensors");
  EXPECT_ERROR(expect_golden_logits(golden, whole(folder.path() / "model")), "clip: no weights");
}

TEST(Loading, PartsMakeTheWholeModel) {
  const Golden golden = llava_case();
  const TemporaryFolder folder;
  const auto part = [&](const std::string& prefix, bool inside) {
    return renamed(golden, [=](const std::string& name) {
      return name.starts_with(prefix) == inside ? file_name(name, Naming::kOriginal) : "";
    });
  };
  Tensors llm = part("projector.", false);
  std::erase_if(llm, [](const auto& entry) { return entry.first.find("vision_tower") != std::string::npos; });
  write_model(folder.path() / "llm", config_of(golden).at("text_config"), llm);
  write_vision_tower(golden, folder.path() / "clip");
  write_safetensors(folder.path() / "mm_projector.safetensors", part("projector.", true));
  ModelPaths paths;
  paths.llm = folder.path() / "llm";
  paths.vision_tower = folder.path() / "clip";
  paths.projector = folder.path() / "mm_projector.safetensors";
  expect_golden_logits(golden, paths);

  paths.projector.reset();
  EXPECT_ERROR(open_checkpoint(paths), "`llm` needs `vision_tower` and `projector`");
}

TEST(Adapter, PeftsNamesAndTheAuthorsGiveTheGoldensLogits) {
  const Golden golden = llava_case();
  const TemporaryFolder folder;
  const auto authors_name = [](const std::string& module, const std::string& half) {
    return cat("base_model.model.model.", module, ".lora_", half, ".default.weight");
  };
  write_adapter(golden, folder.path() / "peft", peft_name);
  write_adapter(golden, folder.path() / "authors", authors_name);
  for (const char* name : {"peft", "authors"}) {
    ModelPaths paths = whole(golden.model_folder());
    paths.adapter = folder.path() / name;
    expect_golden_logits(golden, paths, "lora.logits");
  }
}

TEST(Adapter, TheProjectorBesideItReplacesTheModels) {
  const Golden golden = llava_case();
  const TemporaryFolder folder;
  write_adapter(golden, folder.path() / "adapter", peft_name);
  // A checkpoint with a projector of zeros gets the right one from the adapter's folder.
  Tensors tensors = renamed(golden, [](const std::string& name) { return file_name(name, Naming::kLlavaHf); });
  Tensors trained;
  for (auto& [name, tensor] : tensors) {
    if (!name.starts_with("multi_modal_projector.")) continue;
    trained.emplace_back("base_model.model." + file_name(*canonical_name(name), Naming::kOriginal), tensor);
    tensor = at::zeros_like(tensor);
  }
  write_model(folder.path() / "model", config_of(golden), tensors);
  write_safetensors(folder.path() / "adapter" / "non_lora_trainables.safetensors", trained);
  ModelPaths paths = whole(folder.path() / "model");
  paths.adapter = folder.path() / "adapter";
  expect_golden_logits(golden, paths, "lora.logits");
}

TEST(Adapter, RefusesWhatDoesNotFitTheModel) {
  const Golden golden = llava_case();
  const TemporaryFolder folder;
  const fs::path adapter = folder.path() / "adapter";
  ModelPaths paths = whole(golden.model_folder());
  paths.adapter = adapter;
  const Checkpoint checkpoint = [&] {
    write_adapter(golden, adapter, peft_name);
    return open_checkpoint(paths);
  }();
  const auto refusal = [&](const std::function<void()>& damage) {
    fs::remove_all(adapter);
    write_adapter(golden, adapter, peft_name);
    damage();
    try {
      load_model(checkpoint, exact_placement());
    } catch (const Error& error) {
      EXPECT_FALSE(error.hint().empty());
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto weights = [&](const Tensors& tensors) {
    return [&, tensors] { write_safetensors(adapter / "adapter_model.safetensors", tensors); };
  };
  const auto settings = [&](const json& config) {
    return [&, config] { write_file(adapter / "adapter_config.json", config.dump()); };
  };
  const std::string module = golden.json().at("lora").at("targets").at(0);
  const at::Tensor a = golden.load("lora." + module + ".A");
  const std::int64_t depth = checkpoint.config.decoder.layers;
  const std::string beyond = cat("layers.", depth, ".mlp.down_proj");
  using testing::HasSubstr;
  EXPECT_THAT(refusal(weights({{peft_name(module, "A"), a}})), HasSubstr("only one of lora_A and lora_B"));
  EXPECT_THAT(refusal(weights({{peft_name(module, "A"), a}, {peft_name(module, "B"), a}})), HasSubstr("does not fit"));
  EXPECT_THAT(refusal(weights({{peft_name(beyond, "A"), a}, {peft_name(beyond, "B"), a}})),
              HasSubstr(cat("layer ", depth)));
  EXPECT_THAT(
      refusal(weights({{peft_name("layers.0.mlp.experts", "A"), a}, {peft_name("layers.0.mlp.experts", "B"), a}})),
      HasSubstr("no linear mlp.experts"));
  EXPECT_THAT(
      refusal(weights({{"base_model.model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.lora_A.weight", a}})),
      HasSubstr("not a LoRA matrix of a decoder layer"));
  EXPECT_THAT(refusal(settings({{"peft_type", "IA3"}})), HasSubstr("IA3"));
  EXPECT_THAT(refusal(settings({{"peft_type", "LORA"}, {"use_dora", true}})), HasSubstr("DoRA"));
  EXPECT_THAT(refusal(settings({{"peft_type", "LORA"}, {"r", 999}})), HasSubstr("r, rank_pattern"));
  EXPECT_THAT(refusal([&] { fs::remove(adapter / "adapter_config.json"); }), HasSubstr("adapter_config.json"));
  EXPECT_THAT(refusal([&] { fs::remove(adapter / "adapter_model.safetensors"); }),
              HasSubstr("adapter_model.safetensors"));
}

TEST(Loading, MissingAndMisshapenTensorsAreNamed) {
  const Golden golden = llava_case();
  const TemporaryFolder folder;
  const auto refusal = [&](const std::function<void(Tensors&)>& damage) {
    Tensors tensors = renamed(golden, [](const std::string& name) { return file_name(name, Naming::kLlavaHf); });
    damage(tensors);
    fs::remove_all(folder.path() / "model");
    write_model(folder.path() / "model", config_of(golden), tensors);
    try {
      load_model(open_checkpoint(whole(folder.path() / "model")), exact_placement());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind() == ErrorKind::kCorruptData || error.kind() == ErrorKind::kUnsupported, true);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const std::string victim = "language_model.model.layers.1.mlp.up_proj.weight";
  const auto find = [&](Tensors& tensors) -> at::Tensor& {
    return std::find_if(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first == victim; })
        ->second;
  };
  using testing::HasSubstr;
  EXPECT_THAT(refusal([&](Tensors& t) { std::erase_if(t, [&](const auto& e) { return e.first == victim; }); }),
              HasSubstr("model.layers.1.mlp.up_proj.weight is missing"));
  EXPECT_THAT(refusal([&](Tensors& t) { find(t) = find(t).t().contiguous(); }), HasSubstr("but config.json says"));
  EXPECT_THAT(refusal([&](Tensors& t) { find(t) = find(t).to(at::kInt); }), HasSubstr("Int"));
}

}  // namespace
}  // namespace striate::test

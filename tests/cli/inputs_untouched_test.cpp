// Every command that writes, with every way to name a model: nothing that was given is changed, and every result opens.
#include <gmock/gmock.h>

#include "striate/base/sha256.h"
#include "tests/cli/train_world.h"

namespace striate::test {
namespace {

using nlohmann::json;

// Every file below a folder: {name: SHA-256}; folders and links by what they are.
std::map<std::string, std::string> contents_of(const fs::path& folder) {
  std::map<std::string, std::string> contents;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = fs::relative(entry.path(), folder).string();
    contents[name] = entry.is_symlink()     ? "link to " + fs::read_symlink(entry.path()).string()
                     : entry.is_directory() ? "folder"
                                            : sha256_of_file(entry.path());
  }
  return contents;
}

// A safetensors file as {name: entry} and its data.
struct RawTensors {
  json header;
  std::string data;
};

RawTensors read_raw(const fs::path& file) {
  const std::string bytes = read_file(file);
  std::uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  json header = json::parse(bytes.substr(8, length));
  header.erase("__metadata__");
  return {std::move(header), bytes.substr(8 + length)};
}

// The tensors that begin with `from`, which becomes `to`, in a file of their own.
void write_part(const RawTensors& all, const std::string& from, const std::string& to, const fs::path& file) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const auto& [name, entry] : all.header.items()) {
    if (!name.starts_with(from)) continue;
    const std::size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    json moved = entry;
    moved["data_offsets"] = {data.size(), data.size() + end - begin};
    header[to + name.substr(from.size())] = moved;
    data += all.data.substr(begin, end - begin);
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  write_file(file, length + text + data);
}

const std::vector<std::string> kText = {"--layers",   "4",    "--hidden", "32", "--heads",         "4",
                                        "--kv-heads", "2",    "--mlp",    "48", "--max-positions", "256",
                                        "--dtype",    "fp32", "--seed",   "7"};
const std::vector<std::string> kTower = {"--vision-layers", "2",  "--vision-hidden", "16", "--vision-heads", "2",
                                         "--vision-mlp",    "24", "--image-size",    "28", "--patch-size",   "14"};

class InputsUntouched : public TrainCommand, public testing::WithParamInterface<const char*> {
 protected:
  // Everything that the commands are given lies below file("given").
  static void SetUpTestSuite() {
    TrainCommand::SetUpTestSuite();
    fs::create_directories(given(""));
    make(given("hf"), "llava-1.5-7b", {});
    make(given("original"), "llava-1.5-7b", {"--layout", "original"});
    make(given("bunny"), "bunny-llama3-8b", {});
    make_absolute();
    make_parts();
    fs::create_directory_symlink(given("bunny"), given("linked"));
    run({"train", "--model", given("hf"), "--layers", "1,3", "--tune", "lora", "--out", given("adapter")}, true);
    before_ = contents_of(given(""));
  }

  static std::string given(const std::string& name) { return file("given/" + name); }

  static CommandResult run(std::vector<std::string> arguments, bool trains = false) {
    arguments.insert(arguments.begin(), STRIATE_PROGRAM);
    if (trains) {
      for (const std::string& more :
           {std::string("--data"), data(), std::string("--images"), file("images"), std::string("--steps"),
            std::string("2"), std::string("--batch"), std::string("2"), std::string("--threads"), std::string("1"),
            std::string("--max-tokens"), std::string("200")}) {
        arguments.push_back(more);
      }
    }
    return run_command(arguments);
  }

  static void make(const std::string& out, const std::string& arch, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"init", "--arch", arch, "--out", out, "--tokenizer"};
    arguments.push_back((fs::path(STRIATE_SOURCE) / "demo/tokenizer.model").string());
    arguments.insert(arguments.end(), kText.begin(), kText.end());
    const bool sees = arch != "llama-2-7b";
    if (sees) arguments.insert(arguments.end(), kTower.begin(), kTower.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    const CommandResult made = run(arguments);
    ASSERT_EQ(made.exit_code, 0) << made.err;
  }

  // What LLaVA's and Bunny's training writes: mm_vision_tower is the absolute path of the tower's folder.
  static void make_absolute() {
    fs::copy(given("bunny"), given("absolute"), fs::copy_options::recursive);
    fs::create_directory(given("siglip"));
    const fs::path config = given("absolute") + "/config.json";
    json root = json::parse(read_file(config));
    const std::string inside = given("absolute") + "/" + root["mm_vision_tower"].get<std::string>();
    for (const auto& entry : fs::directory_iterator(inside)) {
      fs::copy(entry.path(), fs::path(given("siglip")) / entry.path().filename());
    }
    fs::remove_all(inside);
    const RawTensors all = read_raw(given("absolute") + "/model.safetensors");
    const std::string tower = "model.vision_tower.vision_tower.";
    write_part(all, tower, "", given("siglip") + "/model.safetensors");
    RawTensors rest = all;
    for (const auto& [name, entry] : all.header.items()) {
      if (name.starts_with(tower)) rest.header.erase(name);
    }
    write_part(rest, "", "", given("absolute") + "/model.safetensors");
    root["mm_vision_tower"] = given("siglip");
    write_file(config, root.dump(2));
  }

  static void make_parts() {
    make(given("llm"), "llama-2-7b", {});
    const RawTensors all = read_raw(given("hf") + "/model.safetensors");
    fs::create_directory(given("clip"));
    write_part(all, "vision_tower.", "", given("clip") + "/model.safetensors");
    write_file(given("clip") + "/config.json",
               json::parse(read_file(given("hf") + "/config.json"))["vision_config"].dump());
    RawTensors projector;
    projector.data = all.data;
    for (const auto& [name, entry] : all.header.items()) {
      const std::string from = "multi_modal_projector.linear_";
      if (!name.starts_with(from)) continue;
      const int index = name[from.size()] - '1';
      projector.header[cat("model.mm_projector.", 2 * index, name.substr(from.size() + 1))] = entry;
    }
    write_part(projector, "", "", given("mm_projector.safetensors"));
  }

  // The flags that name the model.
  static std::vector<std::string> model_flags(const std::string& way) {
    if (way == "absolute") return {"--model", given("absolute"), "--vision-tower", given("siglip")};
    if (way == "adapted") return {"--model", given("hf"), "--adapter", given("adapter")};
    if (way == "parts") {
      return {"--llm", given("llm"), "--vision-tower", given("clip"), "--projector", given("mm_projector.safetensors")};
    }
    return {"--model", given(way)};
  }

  // Runs `arguments` on the model of this way, and then looks at everything that was given.
  CommandResult on_model(std::vector<std::string> arguments, bool trains = false) {
    const std::vector<std::string> model = model_flags(GetParam());
    arguments.insert(arguments.end(), model.begin(), model.end());
    const CommandResult result = run(arguments, trains);
    expect_unchanged(arguments[0]);
    return result;
  }
  static void expect_unchanged(const std::string& command) {
    const auto after = contents_of(given(""));
    EXPECT_EQ(after.size(), before_.size()) << command;
    for (const auto& [name, hash] : before_) {
      const auto found = after.find(name);
      EXPECT_TRUE(found != after.end() && found->second == hash) << command << " changed " << name;
    }
  }
  std::string out(const std::string& name) const { return file(cat(GetParam(), "-", name)); }

  static void expect_opens(const std::vector<std::string>& model) {
    std::vector<std::string> arguments = {
        "chat",        "--prompt", "What is it?", "--image",      file("images/p0.bmp"),
        "--precision", "fp32",     "--json",      "--max-tokens", "2"};
    arguments.insert(arguments.begin() + 1, model.begin(), model.end());
    const CommandResult result = run(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
  }
  void expect_written(const CommandResult& result, const std::string& folder) {
    ASSERT_EQ(result.exit_code, 0) << result.err;
    expect_opens({"--model", folder});
  }

  bool adapted() const { return GetParam() == std::string("adapted"); }

  static std::map<std::string, std::string> before_;
};

std::map<std::string, std::string> InputsUntouched::before_;

TEST_P(InputsUntouched, ByExport) {
  expect_written(on_model({"export", "--out", out("hf")}), out("hf"));
  const CommandResult gguf = on_model({"export", "--format", "gguf", "--gguf-type", "f32", "--out", out("gguf")});
  EXPECT_EQ(gguf.exit_code, 0) << gguf.err;
  if (!adapted()) return;
  const CommandResult peft = on_model({"export", "--format", "peft", "--out", out("peft")});
  ASSERT_EQ(peft.exit_code, 0) << peft.err;
  expect_opens({"--model", given("hf"), "--adapter", out("peft")});
}

TEST_P(InputsUntouched, ByPruning) {
  expect_written(on_model({"prune", "--region", "none", "--layers", "2", "--dtype", "fp16", "--out", out("pruned")}),
                 out("pruned"));
}

TEST_P(InputsUntouched, ByTrainingAdaptersAndTheProjector) {
  if (adapted()) GTEST_SKIP() << "training starts from a model without an adapter";
  CommandResult result = on_model({"train", "--layers", "1,3", "--out", out("lora")}, true);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  std::vector<std::string> model = model_flags(GetParam());
  model.insert(model.end(), {"--adapter", out("lora")});
  expect_opens(model);
  result = on_model(
      {"train", "--stage", "align", "--on-bad-sample", "skip", "--max-bad-share", "0.5", "--out", out("align")}, true);
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_P(InputsUntouched, ByTrainingWholeLayersAndHealing) {
  if (adapted()) GTEST_SKIP() << "training starts from a model without an adapter";
  expect_written(on_model({"train", "--tune", "full", "--layers", "1,3", "--out", out("full")}, true), out("full"));
  expect_written(
      on_model({"train", "--tune", "full", "--tune-vision-tower", "--layers", "0", "--out", out("tower")}, true),
      out("tower"));
  if (GetParam() == std::string("parts")) return;  // a whole model is healed
  expect_written(on_model({"heal", "--tune", "full", "--layers", "0", "--out", out("healed")}, true), out("healed"));
}

TEST_P(InputsUntouched, ByReverting) {
  if (adapted() || GetParam() == std::string("parts")) GTEST_SKIP() << "layers go back to a whole model's";
  const CommandResult tuned =
      on_model({"train", "--tune", "full", "--layers", "1,3", "--lr", "1e-2", "--out", out("tuned")}, true);
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  std::vector<std::string> model = model_flags(GetParam());
  std::vector<std::string> revert = {"revert", "--base", model[1],        "--layers",
                                     "1",      "--out",  out("reverted"), "--model"};
  model[1] = out("tuned");
  revert.insert(revert.end(), model.begin() + 1, model.end());
  const CommandResult reverted = run(revert);
  expect_unchanged("revert");
  expect_written(reverted, out("reverted"));
}

TEST_P(InputsUntouched, ByMeasuring) {
  CommandResult result = on_model({"score", "--data", data(), "--images", file("images"), "--samples", "4", "--out",
                                   out("scores.json"), "--report", out("scores.html")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  result = on_model({"chat", "--prompt", "hi", "--max-tokens", "1", "--logits", out("logits")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  if (adapted()) return;
  result = on_model({"data", "check", "--data", data(), "--images", file("images"), "--list", out("list")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

INSTANTIATE_TEST_SUITE_P(Ways, InputsUntouched,
                         testing::Values("hf", "original", "bunny", "linked", "absolute", "parts", "adapted"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace striate::test

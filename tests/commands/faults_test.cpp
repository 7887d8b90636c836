// Damaged files and impossible paths and values: each ends in one line that names the file or flag, a hint and the
// right exit status.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/commands/called_command.h"
#include "tests/support/paths.h"

namespace striate::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

// One line with `name` in it, a hint, no other library's words, and the exit status of bad input.
void expect_refused(const std::vector<std::string>& arguments, const std::string& name) {
  const Error error = refusal_of(arguments);
  const std::string message = error.what();
  EXPECT_EQ(error.exit_code(), 2) << message;
  EXPECT_THAT(printable_lines(message), HasSubstr(name));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
  EXPECT_FALSE(error.hint().empty()) << message;
  for (const char* foreign : {"internal:", "json.exception", "std::", "filesystem error", "terminate"}) {
    EXPECT_THAT(message, Not(HasSubstr(foreign)));
  }
}

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

class Faults : public testing::Test {
 protected:
  // A language model of a few kilobytes.
  void SetUp() override {
    call_striate({"init", "--arch", "llama-2-7b", "--layers", "2", "--hidden", "16", "--heads", "2", "--kv-heads", "2",
                  "--mlp", "24", "--vocab", "80", "--out", path("m")});
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  // The model's config.json with one value changed.
  void set_config(const std::string& key, const json& value) const {
    json config = json::parse(read_file(folder_.path() / "m" / "config.json"));
    config[key] = value;
    write_file(folder_.path() / "m" / "config.json", config.dump());
  }
  void put(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_.path() / name).parent_path());
    write_file(folder_.path() / name, text);
  }

  TemporaryFolder folder_;
};

// Objects that are damaged in every way a JSON file can be.
std::vector<std::string> damaged_objects() {
  const std::string deep = nested(100'000);
  std::string many = R"({"zz": [)";
  for (int i = 0; i < 1'200'000; ++i) many += "[],";
  return {R"({"zz": )" + deep + "}",
          R"({"zz": 1e400})",
          many + "[]]}",
          R"({"zz": 1, "zz": 2})",
          R"({"zz": NaN})",
          R"({"zz": )",
          "{\"zz\": \"\xE9\"}",
          "",
          "[]"};
}

TEST_F(Faults, DamagedJsonIsNamedWhateverReadsIt) {
  const std::string config = read_file(folder_.path() / "m" / "config.json");
  for (const std::string& text : damaged_objects()) {
    SCOPED_TRACE(text.substr(0, 30));
    put("m/config.json", text);
    expect_refused({"inspect", "--model", path("m")}, "m/config.json");
    put("m/config.json", config);
    put("m/striate.json", text);
    if (text != "[]") {
      expect_refused(
          {"prune", "--model", path("m"), "--region", "from-run", "--layers", "1", "--no-verify", "--out", path("p")},
          "striate.json");
    }
    fs::remove(folder_.path() / "m" / "striate.json");
    put("s.json", text);
    expect_refused({"region", "--layers-total", "2", "--layers", "score:" + path("s.json") + ":bi:1"}, "s.json");
    put("a/adapter_config.json", text);
    put("a/adapter_model.safetensors", "");
    expect_refused({"inspect", "--model", path("m"), "--adapter", path("a")}, "");
    put("run.json", text);
    expect_refused({"train", "--config", path("run.json")}, "run.json");
  }
}

TEST_F(Faults, TomlThatIsNoneIsNamedWithItsLine) {
  for (const std::string& text : {std::string("lr = 1\n[[  [["), "a = " + nested(100'000), std::string("a = 1e400")}) {
    put("run.toml", text);
    expect_refused({"train", "--config", path("run.toml")}, "run.toml:");
  }
}

TEST_F(Faults, PathsThatCannotBeLookedAtAreNamed) {
  fs::create_symlink("loop", folder_.path() / "loop");
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string name(300, 'a');
  for (const std::string& bad : {path("loop"), path("pipe"), name, path("caf\xE9"), path("m/config.json/x")}) {
    SCOPED_TRACE(bad.substr(0, 80));
    const std::string shown = bad.ends_with("\xE9") ? "caf\\xe9" : bad.substr(0, 40);
    expect_refused({"inspect", "--model", bad}, shown);
    expect_refused({"inspect", "--model", path("m"), "--adapter", bad}, shown);
    expect_refused({"tokenize", "--tokenizer", bad}, shown);
    expect_refused({"chat", "--model", path("m"), "--tokenizer", bad, "--prompt", "x"}, shown);
    expect_refused({"region", "--layers-total", "2", "--layers", "score:" + bad + ":bi:1"}, shown);
    expect_refused({"train", "--config", bad + ".toml"}, "");
  }
}

TEST_F(Faults, APipeOrALinkLoopInAModelIsNamed) {
  for (const char* name : {"config.json", "model.safetensors"}) {
    for (const bool loop : {true, false}) {
      SCOPED_TRACE(cat(name, loop ? " is a loop" : " is a pipe"));
      fs::copy(folder_.path() / "m", folder_.path() / "c", fs::copy_options::recursive);
      fs::remove(folder_.path() / "c" / name);
      if (loop) {
        fs::create_symlink(name, folder_.path() / "c" / name);
      } else {
        ASSERT_EQ(::mkfifo(path(cat("c/", name)).c_str(), 0600), 0);
      }
      expect_refused({"inspect", "--model", path("c")}, name);
      expect_refused({"export", "--model", path("c"), "--out", path("o")}, name);
      fs::remove_all(folder_.path() / "c");
    }
  }
}

TEST_F(Faults, ValuesThatMakeNoSenseAreNamedByTheirKey) {
  const std::pair<const char*, json> cases[] = {{"rms_norm_eps", -1},       {"rope_theta", 0},
                                                {"num_attention_heads", 0}, {"num_hidden_layers", 4'000'000'000},
                                                {"vocab_size", -1},         {"max_position_embeddings", 0}};
  for (const auto& [key, value] : cases) {
    const json before = json::parse(read_file(folder_.path() / "m" / "config.json")).at(key);
    set_config(key, value);
    expect_refused({"chat", "--model", path("m"), "--prompt", "x"}, key);
    expect_refused({"plan", "--model", path("m"), "--layers", "all"}, key);
    set_config(key, before);
  }
}

TEST_F(Faults, CountsInARecordAreNotBelieved) {
  put("m/striate.json", R"({"layers": {"of": 1000000000000000000, "original": [0, 1]}})");
  expect_refused(
      {"prune", "--model", path("m"), "--region", "none", "--layers", "1", "--no-verify", "--out", path("p")},
      "striate.json");
}

}  // namespace
}  // namespace striate::test

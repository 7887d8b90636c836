// A tiny model with data to train it on, and the program in the background, for tests of `striate train`.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "tests/support/background.h"
#include "tests/support/command.h"
#include "tests/support/paths.h"

namespace striate::test {

namespace fs = std::filesystem;

inline std::string little_picture(std::uint32_t seed) {
  constexpr std::uint32_t kSide = 20;
  std::string bmp = "BM";
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bmp += static_cast<char>(value >> (8 * i));
  };
  put(54 + kSide * kSide * 3, 4), put(0, 4), put(54, 4), put(40, 4), put(kSide, 4), put(kSide, 4);
  put(1, 2), put(24, 2);
  for (int i = 0; i < 6; ++i) put(0, 4);
  for (std::uint32_t i = 0; i < kSide * kSide * 3; ++i) bmp += static_cast<char>((i * 31 + seed * 97 + i / 60) % 251);
  return bmp;
}

// What a metrics line says that two runs of the same thing share.
inline nlohmann::json without_timings(nlohmann::json line) {
  for (const char* key : {"seconds", "wait_seconds", "processor_seconds", "tokens_per_s", "memory_bytes"})
    line.erase(key);
  return line;
}

inline std::vector<nlohmann::json> metrics_of(const fs::path& out) {
  std::vector<nlohmann::json> lines;
  if (!fs::exists(out / "metrics.jsonl")) return lines;
  for (const std::string& line : split(read_file(out / "metrics.jsonl"), '\n')) {
    nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    if (parsed.is_object()) lines.push_back(std::move(parsed));
  }
  return lines;
}

class TrainCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const std::string tokenizer = (fs::path(STRIATE_SOURCE) / "demo/tokenizer.model").string();
    const CommandResult made = run_command({STRIATE_PROGRAM,   "init", "--arch",          "llava-1.5-7b",
                                            "--layers",        "4",    "--hidden",        "32",
                                            "--heads",         "4",    "--kv-heads",      "2",
                                            "--mlp",           "48",   "--max-positions", "256",
                                            "--vision-layers", "2",    "--vision-hidden", "16",
                                            "--vision-heads",  "2",    "--vision-mlp",    "24",
                                            "--image-size",    "28",   "--tokenizer",     tokenizer,
                                            "--dtype",         "fp32", "--seed",          "3",
                                            "--out",           model()});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    fs::create_directories(file("images"));
    nlohmann::json samples = nlohmann::json::array();
    for (std::uint32_t i = 0; i < 30; ++i) {
      if (i % 3 != 2) write_file(file(cat("images/p", i, ".bmp")), little_picture(i));
      nlohmann::json sample = {{"id", cat("s", i)}};
      if (i % 3 != 2) sample["image"] = cat("p", i, ".bmp");
      const std::string question = cat(i % 3 != 2 ? "<image>\n" : "", "What is number ", i, "?");
      sample["conversations"] = {{{"from", "human"}, {"value", question}},
                                 {{"from", "gpt"}, {"value", cat("It is ", std::string(1 + i % 7, 'a'), " ", i * i)}}};
      samples.push_back(sample);
    }
    write_file(data(), samples.dump());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string file(const std::string& name) { return (folder_->path() / name).string(); }
  static std::string model() { return file("model"); }
  static std::string data() { return file("data.json"); }

  // The usual run to `out`, with `more` flags; one that is given again has its new value.
  static std::vector<std::string> command(const std::string& out, const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = {
        STRIATE_PROGRAM, "train",   "--model",        model(), "--data",       data(), "--images",  file("images"),
        "--layers",      "1,3",     "--lora-r",       "4",     "--lora-alpha", "8",    "--batch",   "4",
        "--lr",          "1e-2",    "--max-tokens",   "200",   "--precision",  "fp32", "--threads", "1",
        "--out",         file(out), "--projector-lr", "1e-3"};
    for (std::size_t i = 0; i < more.size(); ++i) {
      const auto at = std::find(all.begin(), all.end(), more[i]);
      const bool has_value = i + 1 < more.size() && !more[i + 1].starts_with("--");
      if (at != all.end() && has_value && more[i].starts_with("--")) {
        *(at + 1) = more[++i];
      } else {
        all.push_back(more[i]);
      }
    }
    return without_unread(std::move(all));
  }
  // A run refuses flags that it would not read.
  static std::vector<std::string> without_unread(std::vector<std::string> flags) {
    const auto says = [&flags](const std::string& flag, const std::string& value) {
      const auto at = std::find(flags.begin(), flags.end(), flag);
      return at != flags.end() && at + 1 != flags.end() && *(at + 1) == value;
    };
    if (says("--tune", "full") || says("--stage", "align") || says("--stage", "pretrain")) {
      flags = without(std::move(flags), {"--lora-r", "--lora-alpha"});
    }
    if (std::find(flags.begin(), flags.end(), "--freeze-projector") != flags.end()) {
      flags = without(std::move(flags), {"--projector-lr"});
    }
    return flags;
  }
  // The same without some flags and their values.
  static std::vector<std::string> without(std::vector<std::string> flags, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const auto at = std::find(flags.begin(), flags.end(), name);
      if (at != flags.end()) flags.erase(at, at + 2);
    }
    return flags;
  }
  static CommandResult train(const std::string& out, const std::vector<std::string>& more = {}) {
    return run_command(command(out, more));
  }
  static void expect_refusal(const CommandResult& result, const std::string& what) {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_NE(result.err.find(what), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("\nhint: "), std::string::npos) << result.err;
    EXPECT_EQ(result.out, "");
  }
  // The results and the state at the end, byte for byte, and every line of metrics but its timings.
  static void expect_same_run(const std::string& a, const std::string& b, const std::string& checkpoint) {
    for (const std::string& name :
         {std::string("adapter_model.safetensors"), std::string("non_lora_trainables.safetensors"),
          "checkpoints/" + checkpoint + "/parameters.safetensors",
          "checkpoints/" + checkpoint + "/optimizer.safetensors", "checkpoints/" + checkpoint + "/state.json"}) {
      EXPECT_TRUE(read_file(fs::path(file(a)) / name) == read_file(fs::path(file(b)) / name)) << name << " differs";
    }
    const auto first = metrics_of(file(a));
    const auto second = metrics_of(file(b));
    ASSERT_EQ(first.size(), second.size());
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(without_timings(first[i]), without_timings(second[i]));
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};

inline std::unique_ptr<TemporaryFolder> TrainCommand::folder_;

}  // namespace striate::test

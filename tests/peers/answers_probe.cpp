// answers_probe: asks a model every question of a LLaVA JSON, each alone with its picture, greedily, and prints one
// JSON line per answer: {"id", "turn", "question", "reference", "answer", "ids", "prompt_ids"}. What Python peers and
// scripts/real-data.sh compare answers by.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/infer/chat_session.h"

namespace striate {
namespace {

struct Flags {
  std::string model, adapter, data, images, precision = "auto";
  std::int64_t max_tokens = 16;
  int threads = 0;
};

ChatSession open_session(const Flags& flags) {
  ModelPaths paths;
  paths.model = flags.model;
  if (!flags.adapter.empty()) paths.adapter = flags.adapter;
  Placement placement;
  placement.compute = flags.precision == "fp32"   ? Compute::kFloat32
                      : flags.precision == "bf16" ? Compute::kBFloat16
                                                  : best_compute();
  return {open_checkpoint(paths), placement, {}};
}

std::string without_image(const std::string& text) {
  const std::string mark = "<image>\n";
  return text.starts_with(mark) ? text.substr(mark.size()) : text;
}

void answer_record(ChatSession& session, const nlohmann::json& record, const Flags& flags) {
  GenerationOptions options;
  options.sampling.temperature = 0;
  options.max_tokens = flags.max_tokens;
  std::vector<std::filesystem::path> pictures;
  if (record.contains("image"))
    pictures = {std::filesystem::path(flags.images) / record.at("image").get<std::string>()};
  const nlohmann::json& turns = record.at("conversations");
  for (std::size_t turn = 0; turn + 1 < turns.size(); turn += 2) {
    const std::string question = without_image(turns[turn].at("value"));
    session.reset();
    const ChatAnswer answer = session.ask(question, pictures, options);
    const nlohmann::json line = {{"id", record.at("id")},
                                 {"turn", turn / 2},
                                 {"question", question},
                                 {"reference", turns[turn + 1].at("value")},
                                 {"answer", trim(answer.result.text)},
                                 {"ids", answer.result.ids},
                                 {"prompt_ids", answer.prompt_ids}};
    std::cout << line.dump() << '\n';
  }
}

int run(int argc, char** argv) {
  CLI::App app("Asks a model every question of a LLaVA JSON.", "answers_probe");
  Flags flags;
  app.add_option("--model", flags.model, "A Hugging Face model folder")->required();
  app.add_option("--adapter", flags.adapter, "A LoRA adapter's folder");
  app.add_option("--data", flags.data, "LLaVA JSON")->required()->check(CLI::ExistingFile);
  app.add_option("--images", flags.images, "The folder its pictures are in")->required();
  app.add_option("--precision", flags.precision, "auto, fp32, bf16")->check(CLI::IsMember({"auto", "fp32", "bf16"}));
  app.add_option("--max-tokens", flags.max_tokens, "Longest answer");
  app.add_option("--threads", flags.threads, "CPU threads; 0: all");
  CLI11_PARSE(app, argc, argv);
  if (flags.threads > 0) at::set_num_threads(flags.threads);
  ChatSession session = open_session(flags);
  std::ifstream file(flags.data);
  const nlohmann::json records = nlohmann::json::parse(file);
  for (const nlohmann::json& record : records) answer_record(session, record, flags);
  return 0;
}

}  // namespace
}  // namespace striate

int main(int argc, char** argv) {
  try {
    return striate::run(argc, argv);
  } catch (const striate::Error& error) {
    std::cerr << "error: " << error.what() << "\nhint: " << error.hint() << '\n';
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
  }
  return 1;
}

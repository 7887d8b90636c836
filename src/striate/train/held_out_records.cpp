#include "striate/train/held_out_records.h"

#include <array>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "striate/base/files.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "eval";

std::string step_file(std::int64_t step, int rank) {
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "step-%06lld", static_cast<long long>(step));
  return rank == 0 ? cat(name.data(), ".jsonl") : cat(name.data(), ".rank-", rank, ".jsonl");
}

// The lines of all ranks by the samples' numbers; those of one sample stay in their order.
std::string in_order_of_samples(const std::string& lines, const std::string& file) {
  std::multimap<std::int64_t, std::string> sorted;
  for (const std::string& line : split(lines, '\n')) {
    if (line.empty()) continue;
    sorted.emplace(parse_json(line, file, kLineJson).at("sample").get<std::int64_t>(), line);
  }
  std::string all;
  for (const auto& [sample, line] : sorted) all += line + "\n";
  return all;
}

}  // namespace

void keep_held_out_answers(const fs::path& out, const EvaluationMetrics& metrics, Collective& ranks) {
  const fs::path folder = output_folder_inside(out, kFolder);
  std::string lines = held_out_lines(metrics.answers);
  if (metrics.benchmark) {  // every rank has all of them
    if (ranks.rank() == 0) write_file(OutputPath::inside(folder, step_file(metrics.step, 0)), lines);
    return;
  }
  if (ranks.rank() != 0) {
    write_file(OutputPath::inside(folder, step_file(metrics.step, ranks.rank())), lines, Durability::kCache);
  }
  ranks.barrier();
  if (ranks.rank() != 0) return;
  for (int rank = 1; rank < ranks.size(); ++rank) {
    const fs::path file = folder / step_file(metrics.step, rank);
    lines += read_file(file);
    std::error_code failed;
    fs::remove(file, failed);
  }
  const std::string name = step_file(metrics.step, 0);
  write_file(OutputPath::inside(folder, name), in_order_of_samples(lines, (folder / name).string()));
}

}  // namespace striate

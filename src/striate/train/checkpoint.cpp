#include "striate/train/checkpoint.h"

#include <algorithm>
#include <cstdio>

#include "striate/base/atomic_folder.h"
#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/output_file.h"
#include "striate/base/paths.h"
#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/files/weight_file.h"
#include "striate/model/config.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kParameters = "parameters.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "state.json";
constexpr const char* kManifest = "manifest.json";
constexpr std::string_view kPrefix = "step-";

std::string folder_name(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%06lld", static_cast<long long>(step));
  return name;
}

// The step a checkpoint's folder is named after.
std::optional<std::int64_t> step_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const std::string digits = name.substr(kPrefix.size());
  if (digits.size() < 6 || digits.size() > 15 || digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoll(digits);
}

// Newest first.
std::vector<fs::path> checkpoints_in(const fs::path& folder) {
  std::vector<std::pair<std::int64_t, fs::path>> found;
  if (!is_folder(folder)) return {};
  for (const fs::path& path : entries_of(folder)) {
    const auto step = step_of(path);
    if (step && is_folder(path)) found.emplace_back(*step, path);
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<fs::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

// On the CPU one tensor at a time, so that the peak on a GPU's host stays small.
void write_tensors(const OutputPath& path, const NamedTensors& tensors) {
  std::vector<SafetensorsWriter::Entry> entries;
  for (const auto& [name, tensor] : tensors) entries.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  SafetensorsWriter writer(path, std::move(entries));
  for (const auto& [name, tensor] : tensors) writer.append(tensor.cpu().contiguous());
  writer.commit();
}

nlohmann::json manifest_of(const fs::path& folder) {
  nlohmann::json files = nlohmann::json::array();
  for (const char* name : {kParameters, kOptimizer, kState}) {
    files.push_back(
        {{"name", name}, {"bytes", file_size_of(folder / name)}, {"sha256", sha256_of_file(folder / name)}});
  }
  return {{"format", 1}, {"files", std::move(files)}};
}

// What is wrong with a checkpoint; empty when nothing is.
std::string damage_of(const fs::path& folder) {
  try {
    const nlohmann::json manifest = read_json_file(folder / kManifest);
    if (!manifest.is_object() || !manifest.contains("files") || !manifest.at("files").is_array()) {
      return "its manifest lists no files";
    }
    std::size_t known = 0;
    for (const nlohmann::json& entry : manifest.at("files")) {
      const fs::path file = folder / entry.at("name").get<std::string>();
      if (!is_file(file)) return cat(file.filename().string(), " is missing");
      const auto bytes = entry.at("bytes").get<std::uint64_t>();
      if (file_size_of(file) != bytes) {
        return cat(file.filename().string(), " has ", file_size_of(file), " bytes, not ", bytes);
      }
      if (sha256_of_file(file) != entry.at("sha256").get<std::string>()) {
        return cat(file.filename().string(), " is not what was written (its SHA-256 differs)");
      }
      ++known;
    }
    return known == 3 ? "" : "its manifest does not list every file";
  } catch (const Error& error) {
    return error.what();
  } catch (const nlohmann::json::exception&) {
    return "its manifest is damaged";
  }
}

// A file's tensor, which a run of this shape must have.
at::Tensor tensor_of(const WeightFile& file, const std::string& name, at::IntArrayRef shape, const fs::path& where) {
  const TensorInfo* info = file.find(name);
  if (info == nullptr || info->dtype != at::kFloat || shape != at::IntArrayRef(info->shape)) {
    throw corrupt_data(cat(where.string(), ": tensor ", name, " is missing or has another shape"),
                       "the checkpoint belongs to another run");
  }
  return file.load(name);
}

std::shared_ptr<const WeightFile> open_tensors(const fs::path& where, std::size_t count) {
  std::shared_ptr<const WeightFile> file = open_safetensors(where);
  if (file->tensors().size() == count) return file;
  throw corrupt_data(cat(where.string(), ": ", file->tensors().size(), " tensors, but the run trains ", count),
                     "the checkpoint belongs to another run");
}

}  // namespace

fs::path save_checkpoint(const fs::path& folder, const RunState& state, const NamedTensors& values,
                         const NamedTensors& moments, std::int64_t keep) {
  make_folders(folder);
  clear_leftovers_in(folder);
  const fs::path path = folder / folder_name(state.step);
  AtomicFolder building(path);
  write_tensors(OutputPath::inside(building.path(), kParameters), values);
  write_tensors(OutputPath::inside(building.path(), kOptimizer), moments);
  write_file(OutputPath::inside(building.path(), kState), to_json(state).dump(2) + "\n");
  write_file(OutputPath::inside(building.path(), kManifest), manifest_of(building.path()).dump(2) + "\n");
  building.commit(/*replace=*/true);  // a damaged one of the same step may stand there
  if (keep <= 0) return path;
  std::vector<fs::path> all = checkpoints_in(folder);
  // Those of later steps were damaged when this run went on from below them: they count last.
  std::ranges::stable_partition(all, [&](const fs::path& other) { return step_of(other) <= state.step; });
  for (std::size_t i = static_cast<std::size_t>(keep); i < all.size(); ++i) {
    std::error_code ignored;
    fs::remove(all[i] / kManifest, ignored);  // first: half a deleted checkpoint must not look whole
    fs::remove_all(all[i], ignored);
  }
  return path;
}

std::optional<FoundCheckpoint> newest_whole_checkpoint(const fs::path& folder, const Notes& notes) {
  for (const fs::path& path : checkpoints_in(folder)) {
    const std::string damage = damage_of(path);
    if (!damage.empty()) {
      notes.warn(cat("skipping ", path.string(), ": ", damage));
      continue;
    }
    const fs::path state = path / kState;
    return FoundCheckpoint{path, parse_run_state(read_json_file(state), state.string())};
  }
  return std::nullopt;
}

void restore_checkpoint(const FoundCheckpoint& checkpoint, const ParameterSet& parameters, AdamW& optimizer) {
  const fs::path values = checkpoint.path / kParameters;
  const fs::path moments = checkpoint.path / kOptimizer;
  const auto stored_values = open_tensors(values, parameters.all().size());
  const auto stored_moments = open_tensors(moments, 2 * parameters.all().size());
  const auto stored = [&](const std::string& name, at::IntArrayRef shape) {
    const bool is_value = stored_values->find(name) != nullptr || stored_moments->find(name) == nullptr;
    return is_value ? tensor_of(*stored_values, name, shape, values) : tensor_of(*stored_moments, name, shape, moments);
  };
  optimizer.restore(stored, checkpoint.state.updates);
}

}  // namespace striate

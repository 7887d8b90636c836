// A Hugging Face directory of weights: one file, or shards and the index that names them.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "striate/base/error.h"
#include "striate/base/json_file.h"
#include "striate/base/paths.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/missing_tensor.h"
#include "striate/files/weight_file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr JsonLimits kIndexLimits{
    .bytes = 100'000'000, .depth = 64, .values = 1'000'000};  // bytes as for a safetensors header

class ShardedWeights final : public WeightFile {
 public:
  // `tensors` sorted by name; owners[i] is the shard that holds tensors[i].
  ShardedWeights(fs::path index, std::vector<std::shared_ptr<const WeightFile>> shards, std::vector<TensorInfo> tensors,
                 std::vector<std::uint32_t> owners)
      : index_(std::move(index)),
        shards_(std::move(shards)),
        tensors_(std::move(tensors)),
        owners_(std::move(owners)) {}

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }

  at::Tensor load(const std::string& name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) throw missing_tensor(index_, name, tensors_);
    return shards_[owners_[static_cast<std::size_t>(info - tensors_.data())]]->load(name);
  }

 private:
  fs::path index_;
  std::vector<std::shared_ptr<const WeightFile>> shards_;
  std::vector<TensorInfo> tensors_;
  std::vector<std::uint32_t> owners_;
};

Error bad_index(const fs::path& index, const std::string& what) {
  return corrupt_data(cat(index.string(), ": ", what), "the index is damaged: download it again");
}

// {tensor name: file name}.
std::map<std::string, std::string> read_index(const fs::path& index) {
  const nlohmann::json root = read_json_file(index, kIndexLimits);
  if (!root.is_object()) throw bad_index(index, "it is not a JSON object");
  const auto map = root.find("weight_map");
  if (map == root.end()) throw bad_index(index, "it has no weight_map");
  if (!map->is_object()) throw bad_index(index, "its weight_map is not an object");
  std::map<std::string, std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string()) throw bad_index(index, cat("its weight_map gives no file name for ", quoted_name(tensor)));
    files.emplace(tensor, file.get<std::string>());
  }
  return files;
}

// A shard lies in the index's own folder or below it.
void check_shard_name(const fs::path& index, const std::string& name) {
  const fs::path path(name);
  const bool climbs = std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
  const bool control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20; });
  if (name.empty() || path.is_absolute() || climbs || control) {
    throw corrupt_data(cat(index.string(), ": names the file ", quoted_name(name), ", which is outside the folder"),
                       "an index may only name files beside it; check where this checkpoint came from");
  }
}

std::vector<std::shared_ptr<const WeightFile>> open_shards(const fs::path& index,
                                                           const std::vector<std::string>& names) {
  std::vector<std::shared_ptr<const WeightFile>> shards;
  for (const std::string& name : names) {
    check_shard_name(index, name);
    const fs::path path = index.parent_path() / name;
    if (!path_exists(path)) {
      throw invalid_input(cat(index.string(), ": names the shard ", quoted_name(name), ", which does not exist"),
                          "download the missing file into the same folder");
    }
    shards.push_back(open_weight_file(path));
  }
  return shards;
}

std::shared_ptr<const WeightFile> open_sharded(const fs::path& index) {
  const std::map<std::string, std::string> files = read_index(index);
  std::set<std::string> distinct;
  for (const auto& [tensor, file] : files) distinct.insert(file);
  const std::vector<std::string> names(distinct.begin(), distinct.end());
  std::vector<std::shared_ptr<const WeightFile>> shards = open_shards(index, names);

  struct Owned {
    const TensorInfo* info;
    std::uint32_t shard;
  };
  std::vector<Owned> all;
  for (std::uint32_t shard = 0; shard < shards.size(); ++shard) {
    for (const TensorInfo& info : shards[shard]->tensors()) all.push_back({&info, shard});
  }
  std::sort(all.begin(), all.end(), [](const Owned& a, const Owned& b) { return a.info->name < b.info->name; });
  std::vector<TensorInfo> tensors;
  std::vector<std::uint32_t> owners;
  for (const Owned& owned : all) {
    if (!tensors.empty() && tensors.back().name == owned.info->name) {
      throw corrupt_data(cat(index.string(), ": tensor ", quoted_name(owned.info->name), " is in two shards, ",
                             names[owners.back()], " and ", names[owned.shard]),
                         "the folder may mix two checkpoints: download it again into an empty one");
    }
    tensors.push_back(*owned.info);
    owners.push_back(owned.shard);
  }
  for (const auto& [tensor, file] : files) {
    const auto shard = static_cast<std::size_t>(std::lower_bound(names.begin(), names.end(), file) - names.begin());
    if (shards[shard]->find(tensor) == nullptr) {
      throw corrupt_data(cat(index.string(), ": tensor ", quoted_name(tensor), " is not in ", quoted_name(file),
                             ", where the index says it is"),
                         "the index and its shards belong to different checkpoints: download them again");
    }
  }
  return std::make_shared<ShardedWeights>(index, std::move(shards), std::move(tensors), std::move(owners));
}

}  // namespace

std::shared_ptr<const WeightFile> open_weight_directory(const fs::path& folder) {
  if (!is_folder(folder)) {
    throw invalid_input(cat(folder.string(), ": not a folder"), "give the folder of a Hugging Face checkpoint");
  }
  for (const auto& [stem, ending] : {std::pair("model", ".safetensors"), std::pair("pytorch_model", ".bin")}) {
    const fs::path whole = folder / cat(stem, ending);
    if (path_exists(whole)) return open_weight_file(whole);
    const fs::path index = folder / cat(stem, ending, ".index.json");
    if (path_exists(index)) return open_sharded(index);
  }
  throw invalid_input(cat(folder.string(), ": no weights"),
                      "the folder should hold model.safetensors or pytorch_model.bin, or their shards and .index.json");
}

}  // namespace striate

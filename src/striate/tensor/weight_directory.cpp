// A Hugging Face directory of weights: one file, or shards and the index that names them.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/tensor/mapped_tensor.h"
#include "striate/tensor/missing_tensor.h"
#include "striate/tensor/weight_file.h"

namespace striate {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kIndexCap = 100'000'000;  // bytes, as for a safetensors header

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

// {tensor name: file name}; refuses duplicate keys, which JSON libraries let through.
class IndexHandler {
 public:
  explicit IndexHandler(const fs::path& index) : index_(index) {}

  std::map<std::string, std::string> take() {
    if (!seen_) throw bad_index(index_, "it has no weight_map");
    return std::move(files_);
  }

  bool null() { return other(); }
  bool boolean(bool) { return other(); }
  bool number_integer(std::int64_t) { return other(); }
  bool number_unsigned(std::uint64_t) { return other(); }
  bool number_float(double, const std::string&) { return other(); }
  bool binary(nlohmann::json::binary_t&) { return other(); }
  bool string(std::string& value) {
    if (!in_map()) return other();
    if (!files_.emplace(key_, value).second)
      throw bad_index(index_, cat("its weight_map names ", quoted_name(key_), " twice"));
    return true;
  }
  bool start_object(std::size_t) {
    if (in_map()) return other();
    if (depth_ == 1 && key_ == "weight_map") {
      if (seen_) throw bad_index(index_, "it has two weight_maps");
      seen_ = map_open_ = true;
    }
    ++depth_;
    return true;
  }
  bool end_object() {
    if (in_map()) map_open_ = false;
    --depth_;
    return true;
  }
  bool start_array(std::size_t) {
    other();
    ++depth_;
    return true;
  }
  bool end_array() {
    --depth_;
    return true;
  }
  bool key(std::string& name) {
    if (depth_ == 1 || in_map()) key_ = name;
    return true;
  }
  [[noreturn]] bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
    throw bad_index(index_, cat("not valid JSON (at byte ", position, ")"));
  }

 private:
  bool in_map() const { return map_open_ && depth_ == 2; }

  bool other() const {
    if (in_map()) throw bad_index(index_, cat("its weight_map gives no file name for ", quoted_name(key_)));
    if (depth_ == 0) throw bad_index(index_, "it is not a JSON object");
    if (depth_ == 1 && key_ == "weight_map") throw bad_index(index_, "its weight_map is not an object");
    return true;
  }

  const fs::path& index_;
  std::map<std::string, std::string> files_;
  std::string key_;  // the last key of the root or of the weight_map
  std::size_t depth_ = 0;
  bool map_open_ = false;
  bool seen_ = false;
};

std::map<std::string, std::string> read_index(const fs::path& index) {
  const std::string text = read_file(index, kIndexCap);
  IndexHandler handler(index);
  nlohmann::json::sax_parse(text, &handler);
  return handler.take();
}

// A shard lies in the index's own folder or below it.
void check_shard_name(const fs::path& index, const std::string& name) {
  const fs::path path(name);
  const bool climbs = std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
  const bool control = std::any_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20; });
  if (name.empty() || path.is_absolute() || climbs || control) {
    throw corrupt_data(cat(index.string(), ": names the file ", quoted_name(name), ", which is outside the folder"),
                       "an index may only name files beside it; do you trust where this checkpoint came from?");
  }
}

std::vector<std::shared_ptr<const WeightFile>> open_shards(const fs::path& index,
                                                           const std::vector<std::string>& names) {
  std::vector<std::shared_ptr<const WeightFile>> shards;
  for (const std::string& name : names) {
    check_shard_name(index, name);
    const fs::path path = index.parent_path() / name;
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      throw invalid_input(cat(index.string(), ": names the shard ", quoted_name(name), ", which is not there"),
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
                         "the index and its shards are not of one checkpoint: download them again");
    }
  }
  return std::make_shared<ShardedWeights>(index, std::move(shards), std::move(tensors), std::move(owners));
}

bool present(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace

std::shared_ptr<const WeightFile> open_weight_directory(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) {
    throw invalid_input(cat(folder.string(), ": not a folder"), "give the folder of a Hugging Face checkpoint");
  }
  for (const auto& [stem, ending] : {std::pair("model", ".safetensors"), std::pair("pytorch_model", ".bin")}) {
    const fs::path whole = folder / cat(stem, ending);
    if (present(whole)) return open_weight_file(whole);
    const fs::path index = folder / cat(stem, ending, ".index.json");
    if (present(index)) return open_sharded(index);
  }
  throw invalid_input(cat(folder.string(), ": no weights"),
                      "it should hold model.safetensors or pytorch_model.bin, or shards of them and their .index.json");
}

}  // namespace striate

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "striate/base/error.h"
#include "striate/base/files.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/missing_tensor.h"
#include "striate/files/unpickler.h"
#include "striate/files/weight_file.h"
#include "striate/files/zip_archive.h"

namespace striate {
namespace {

using Entries = std::unordered_map<std::string, ZipEntry>;

constexpr const char* kDamagedCheckpoint = "the file is truncated or damaged: download it again";

// Where a tensor lies in the mapped file.
struct Placement {
  std::uint64_t offset;               // bytes
  std::vector<std::int64_t> strides;  // elements
};

class TorchFile final : public WeightFile {
 public:
  TorchFile(std::shared_ptr<const MappedFile> file, std::vector<TensorInfo> tensors, std::vector<Placement> placements)
      : file_(std::move(file)), tensors_(std::move(tensors)), placements_(std::move(placements)) {}

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }

  at::Tensor load(const std::string& name) const override {
    const TensorInfo* info = find(name);
    if (info == nullptr) throw missing_tensor(file_->path(), name, tensors_);
    const Placement& placement = placements_[static_cast<std::size_t>(info - tensors_.data())];
    return mapped_tensor(file_, placement.offset, info->dtype, info->shape, placement.strides, name);
  }

 private:
  std::shared_ptr<const MappedFile> file_;
  std::vector<TensorInfo> tensors_;    // sorted by name
  std::vector<Placement> placements_;  // of tensors_[i]
};

// Before PyTorch 1.6, torch.save wrote a row of pickles, the first of them a magic number, and before 0.4 a tar file.
void refuse_legacy(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  constexpr std::size_t kTarMagic = 257;
  constexpr std::string_view kMagic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9";  // after two bytes with the protocol
  const bool pickles = bytes.size() >= 2 + kMagic.size() && bytes[0] == std::byte{0x80} &&
                       std::memcmp(bytes.data() + 2, kMagic.data(), kMagic.size()) == 0;
  const bool tar = bytes.size() >= kTarMagic + 5 && std::memcmp(bytes.data() + kTarMagic, "ustar", 5) == 0;
  if (!pickles && !tar) return;
  throw unsupported(cat(file.path().string(), ": PyTorch's old file format, from before version 1.6"),
                    cat("save it again: python -c \"import torch; f = '", file.path().filename().string(),
                        "'; torch.save(torch.load(f, map_location='cpu', weights_only=True), f)\""));
}

// "NAME/": every entry's path begins with the name of the archive.
std::string archive_prefix(const Entries& entries, const std::string& file) {
  constexpr std::string_view kPickle = "data.pkl";
  std::string prefix;
  std::size_t found = 0;
  for (const auto& [name, entry] : entries) {
    if (!name.ends_with(kPickle)) continue;
    const std::string before = name.substr(0, name.size() - kPickle.size());
    if (before.find('/') + 1 != before.size() || before.empty()) continue;
    prefix = before;
    ++found;
  }
  if (found != 1) {
    throw corrupt_data(
        cat(file, ": a zip file, but not one that torch.save wrote: it has ", found, " entries NAME/data.pkl"),
        "check that it is a file of weights");
  }
  if (entries.contains(prefix + "constants.pkl")) {
    throw unsupported(cat(file, ": a TorchScript program, not a list of tensors"),
                      "save its state_dict() with torch.save, or as safetensors");
  }
  return prefix;
}

void check_stored(const Entries& entries, const std::string& file) {
  for (const auto& [name, entry] : entries) {
    if (entry.stored) continue;
    throw unsupported(
        cat(file, ": its entry ", quoted_name(name), " is compressed or encrypted, which torch.save never does"),
        "save the tensors again with torch.save, or as safetensors");
  }
}

std::span<const std::byte> entry_bytes(const MappedFile& file, const ZipEntry& entry) {
  return file.bytes().subspan(static_cast<std::size_t>(entry.offset), static_cast<std::size_t>(entry.size));
}

void check_byte_order(const MappedFile& file, const Entries& entries, const std::string& prefix) {
  const auto found = entries.find(prefix + "byteorder");
  if (found == entries.end()) return;  // files from before PyTorch 2.1 do not say
  const std::span<const std::byte> bytes = entry_bytes(file, found->second);
  const std::string_view order(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (order == "little") return;
  throw unsupported(cat(file.path().string(), ": its numbers are ", order == "big" ? "big-endian" : quoted_name(order),
                        ", not little-endian"),
                    "convert it to safetensors on the machine that wrote it");
}

std::span<const std::byte> checked_pickle(const MappedFile& file, const Entries& entries, const std::string& prefix) {
  const ZipEntry& entry = entries.at(prefix + "data.pkl");
  const std::span<const std::byte> bytes = entry_bytes(file, entry);
  if (entry.crc != 0 && crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()) != entry.crc) {
    throw corrupt_data(cat(file.path().string(), ": the checksum of its data.pkl is wrong"), kDamagedCheckpoint);
  }
  return bytes;
}

bool has_tensors(const PickleValue::Dict& dict) {
  return std::any_of(dict.items.begin(), dict.items.end(),
                     [](const auto& item) { return item.second->template as<PickleValue::Tensor>() != nullptr; });
}

// The dictionary of named tensors: the whole file, or what training programs keep under "state_dict" or "model" beside
// the optimiser's state.
const PickleValue::Dict& find_state_dict(const PickleValue& root, const std::string& file) {
  const auto* dict = root.as<PickleValue::Dict>();
  if (dict == nullptr) {
    throw unsupported(cat(file, ": holds ", kind_name(root), ", not a dictionary of named tensors"),
                      "save a module's state_dict() with torch.save");
  }
  if (has_tensors(*dict)) return *dict;
  for (const auto& [key, value] : dict->items) {
    const auto* name = key->as<std::string>();
    const auto* inner = value->as<PickleValue::Dict>();
    if (name != nullptr && inner != nullptr && (*name == "state_dict" || *name == "model")) return *inner;
  }
  return *dict;
}

TensorInfo describe(const PickledTensor& tensor, const std::string& name, const std::filesystem::path& path) {
  const std::optional<std::uint64_t> bytes = dense_bytes(tensor.dtype, tensor.shape);
  if (!bytes) {
    throw corrupt_data(cat(path.string(), ": tensor ", quoted_name(name), ": its shape is negative or overflows"),
                       kDamagedCheckpoint);
  }
  return {name, tensor.dtype, tensor.shape, *bytes, path};
}

// The tensor's first byte, after checking that its storage is whole and the tensor lies inside it.
Placement place(const PickledTensor& tensor, const std::string& name, const Entries& entries, const std::string& prefix,
                const std::string& file) {
  const PickledStorage& storage = *tensor.storage;
  const auto bad = [&](const std::string& what) {
    return corrupt_data(cat(file, ": tensor ", quoted_name(name), ": ", what), kDamagedCheckpoint);
  };
  const auto found = entries.find(cat(prefix, "data/", storage.key));
  if (found == entries.end()) throw bad(cat("its storage ", quoted_name(storage.key), " is not in the file"));
  const ZipEntry& entry = found->second;
  const std::uint64_t unit = storage.dtype ? c10::elementSize(*storage.dtype) : 1;
  const std::int64_t size[] = {storage.size};
  const std::optional<std::uint64_t> expected = dense_bytes(storage.dtype.value_or(at::kByte), size);
  if (!expected || *expected != entry.size) {
    throw bad(cat("its storage ", quoted_name(storage.key), " should have ", storage.size, " elements of ", unit,
                  " bytes, but ", entry.size, " bytes are there"));
  }
  const std::optional<std::uint64_t> extent = strided_extent(tensor.dtype, tensor.shape, tensor.strides);
  if (!extent) throw bad("its shape or strides are negative, of different ranks, or overflow");
  if (*extent == 0) return {entry.offset, tensor.strides};
  const std::uint64_t element = c10::elementSize(tensor.dtype);
  if (tensor.offset < 0 || static_cast<std::uint64_t>(tensor.offset) > entry.size / element ||
      *extent > entry.size - static_cast<std::uint64_t>(tensor.offset) * element) {
    throw bad(cat("shape ", shape_text(tensor.shape), ", strides ", shape_text(tensor.strides), " and offset ",
                  tensor.offset, " reach outside its storage of ", entry.size, " bytes"));
  }
  return {entry.offset + static_cast<std::uint64_t>(tensor.offset) * element, tensor.strides};
}

struct Named {
  const std::string* name;
  const PickledTensor* tensor;
};

// Numbers, strings and None beside the tensors are not weights; a container might hide some, so it is refused.
std::vector<Named> named_tensors(const PickleValue::Dict& dict, const std::string& file) {
  std::vector<Named> out;
  for (const auto& [key, value] : dict.items) {
    const auto* name = key->as<std::string>();
    if (name == nullptr)
      throw unsupported(cat(file, ": a key of its dictionary is ", kind_name(*key), ", not a string"),
                        "save a module's state_dict()");
    if (const auto* tensor = value->as<PickleValue::Tensor>()) {
      out.push_back({name, tensor->get()});
    } else if (value->as<PickleValue::Sequence>() || value->as<PickleValue::Dict>() ||
               value->as<PickleValue::Storage>()) {
      throw unsupported(cat(file, ": ", quoted_name(*name), " is ", kind_name(*value), ", where a tensor is expected"),
                        "Striate reads {name: tensor}, or the same under \"state_dict\" or \"model\"");
    }
  }
  std::sort(out.begin(), out.end(), [](const Named& a, const Named& b) { return *a.name < *b.name; });
  const auto twice =
      std::adjacent_find(out.begin(), out.end(), [](const Named& a, const Named& b) { return *a.name == *b.name; });
  if (twice != out.end())
    throw corrupt_data(cat(file, ": tensor ", quoted_name(*twice->name), " occurs twice"), kDamagedCheckpoint);
  return out;
}

}  // namespace

std::shared_ptr<const WeightFile> open_torch_bin(const std::filesystem::path& path) {
  std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  refuse_lfs_pointer(*file);
  refuse_legacy(*file);
  const std::string text = path.string();
  const Entries entries = read_zip_directory(*file);
  const std::string prefix = archive_prefix(entries, text);
  check_stored(entries, text);
  check_byte_order(*file, entries, prefix);
  const Unpickled unpickled = unpickle(checked_pickle(*file, entries, prefix), text);
  std::vector<TensorInfo> tensors;
  std::vector<Placement> placements;
  for (const Named& named : named_tensors(find_state_dict(*unpickled.root, text), text)) {
    tensors.push_back(describe(*named.tensor, *named.name, path));
    placements.push_back(place(*named.tensor, *named.name, entries, prefix, text));
  }
  return std::make_shared<TorchFile>(std::move(file), std::move(tensors), std::move(placements));
}

}  // namespace striate

#include "striate/files/gguf_reader.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <utility>

#include "striate/base/error.h"
#include "striate/base/strings.h"
#include "striate/files/byte_reader.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/q8_0.h"

namespace striate {
namespace {

constexpr std::uint64_t kLongestName = 1 << 16;       // the specification's cap for keys
constexpr std::uint32_t kLargestAlignment = 1 << 20;  // none in use is above 4096
constexpr std::uint64_t kSmallestPair = 8 + 4 + 1;    // bytes of an entry: key length, type, value
constexpr std::uint64_t kSmallestTensor = 8 + 4 + 4 + 8;

std::string read_string(ByteReader& reader, std::uint64_t cap) {
  const std::uint64_t length = reader.u64();
  if (length > cap || length > reader.remaining()) reader.fail(cat("has a text of ", length, " bytes"));
  return std::string(reader.text(length));
}

template <typename T>
T read_item(ByteReader& reader) {
  if constexpr (std::is_same_v<T, std::string>) {
    return read_string(reader, reader.remaining());
  } else if constexpr (std::is_same_v<T, bool>) {
    const std::uint8_t byte = reader.u8();
    if (byte > 1) reader.fail("has a boolean that is neither 0 nor 1");
    return byte == 1;
  } else {
    T value;
    std::memcpy(&value, reader.take(sizeof value).data(), sizeof value);
    return value;
  }
}

template <std::size_t I>
GgufArray read_items(ByteReader& reader, std::uint64_t count) {
  using Items = std::variant_alternative_t<I, GgufArray>;
  if constexpr (std::is_same_v<Items, std::monostate>) {
    throw unsupported(cat(reader.file(), ": GGUF arrays of arrays are not implemented"),
                      "no model needs them: check that it is the right file");
  } else {
    using Item = typename Items::value_type;
    const std::uint64_t smallest = std::is_same_v<Item, std::string> ? 8 : sizeof(Item);
    if (count > reader.remaining() / smallest) reader.fail(cat("has an array of ", count, " items"));
    Items items;
    items.reserve(static_cast<std::size_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) items.push_back(read_item<Item>(reader));
    return items;
  }
}

template <std::size_t... I>
GgufArray read_array(ByteReader& reader, std::index_sequence<I...>) {
  using Read = GgufArray (*)(ByteReader&, std::uint64_t);
  static constexpr std::array<Read, sizeof...(I)> kRead = {&read_items<I>...};
  const std::uint32_t type = reader.u32();
  if (type >= kRead.size()) reader.fail(cat("has an array of the unknown type ", type));
  const std::uint64_t count = reader.u64();
  return kRead[type](reader, count);
}

template <std::size_t I>
GgufValue read_alternative(ByteReader& reader) {
  using Item = std::variant_alternative_t<I, GgufValue>;
  if constexpr (std::is_same_v<Item, GgufArray>) {
    return read_array(reader, std::make_index_sequence<std::variant_size_v<GgufArray>>{});
  } else {
    return read_item<Item>(reader);
  }
}

template <std::size_t... I>
GgufValue read_value(ByteReader& reader, std::index_sequence<I...>) {
  using Read = GgufValue (*)(ByteReader&);
  static constexpr std::array<Read, sizeof...(I)> kRead = {&read_alternative<I>...};
  const std::uint32_t type = reader.u32();
  if (type >= kRead.size()) reader.fail(cat("has a value of the unknown type ", type));
  return kRead[type](reader);
}

GgufMetadata read_metadata(ByteReader& reader, std::uint64_t count) {
  if (count > reader.remaining() / kSmallestPair) reader.fail(cat("claims ", count, " metadata entries"));
  GgufMetadata metadata;
  std::set<std::string> keys;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string key = read_string(reader, kLongestName);
    if (!keys.insert(key).second) reader.fail(cat("has the key ", quoted_name(key), " twice"));
    GgufValue value = read_value(reader, std::make_index_sequence<std::variant_size_v<GgufValue>>{});
    metadata.emplace_back(std::move(key), std::move(value));
  }
  return metadata;
}

GgufTensor read_tensor(ByteReader& reader, const std::string& file) {
  GgufTensor tensor;
  tensor.name = read_string(reader, kLongestName);
  const std::uint32_t dimensions = reader.u32();
  if (dimensions > kGgufDimensions) {
    reader.fail(cat("has a tensor ", quoted_name(tensor.name), " of ", dimensions, " dimensions"));
  }
  for (std::uint32_t i = 0; i < dimensions; ++i) tensor.shape.push_back(static_cast<std::int64_t>(reader.u64()));
  std::reverse(tensor.shape.begin(), tensor.shape.end());
  const std::uint32_t id = reader.u32();
  const auto type = gguf_type(id);
  if (!type) {
    throw unsupported(cat(file, ": tensor ", quoted_name(tensor.name), " has ggml's type ", id),
                      "Striate reads f32, f16, bf16 and q8_0");
  }
  tensor.type = *type;
  const auto bytes = gguf_tensor_bytes(*type, tensor.shape);
  if (!bytes) {
    reader.fail(cat("has a tensor ", quoted_name(tensor.name), " of the impossible shape ", shape_text(tensor.shape)));
  }
  tensor.bytes = *bytes;
  tensor.offset = reader.u64();
  return tensor;
}

std::uint32_t alignment_of(const GgufMetadata& metadata, const ByteReader& reader) {
  for (const auto& [key, value] : metadata) {
    if (key != kGgufAlignmentKey) continue;
    const auto* alignment = std::get_if<std::uint32_t>(&value);
    if (alignment == nullptr || !std::has_single_bit(*alignment) || *alignment > kLargestAlignment) {
      reader.fail(cat("has a ", kGgufAlignmentKey, " that is not a power of two"));
    }
    return *alignment;
  }
  return kGgufAlignment;
}

// Offsets in the file become absolute; each tensor lies inside the data, aligned, apart from every other.
void place(std::vector<GgufTensor>& tensors, std::uint64_t data_begin, std::uint64_t file_bytes,
           std::uint32_t alignment, const std::string& file) {
  constexpr const char* kHint = "the file is truncated or damaged: write or download it again";
  const std::uint64_t data_bytes = file_bytes - std::min(file_bytes, data_begin);
  std::vector<const GgufTensor*> order;
  std::set<std::string_view> names;
  for (GgufTensor& tensor : tensors) {
    const std::string name = quoted_name(tensor.name);
    if (!names.insert(tensor.name).second) throw corrupt_data(cat(file, ": tensor ", name, " occurs twice"), kHint);
    if (tensor.offset % alignment != 0) {
      throw corrupt_data(cat(file, ": tensor ", name, " begins at byte ", tensor.offset,
                             " of the data, which is not a multiple of ", alignment),
                         kHint);
    }
    if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset) {
      throw corrupt_data(cat(file, ": tensor ", name, " needs ", tensor.bytes, " bytes from byte ", tensor.offset,
                             " of the data, which has ", data_bytes),
                         kHint);
    }
    tensor.offset += data_begin;
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i]->offset < order[i - 1]->offset + order[i - 1]->bytes) {
      throw corrupt_data(
          cat(file, ": tensors ", quoted_name(order[i - 1]->name), " and ", quoted_name(order[i]->name), " overlap"),
          kHint);
    }
  }
}

// Magic and version.
void read_start(ByteReader& reader, const std::string& file) {
  if (reader.remaining() < kGgufMagic.size() || reader.text(kGgufMagic.size()) != kGgufMagic) {
    throw corrupt_data(cat(file, ": not a GGUF file"), "it should begin with the letters GGUF");
  }
  const std::uint32_t version = reader.u32();
  constexpr std::uint32_t kOldest = 2;  // laid out as version 3
  if (version < kOldest || version > kGgufVersion) {
    const bool swapped = version > 0xFFFF;
    throw unsupported(swapped ? cat(file, ": a big-endian GGUF file")
                              : cat(file, ": GGUF version ", version, "; Striate reads 2 and 3"),
                      "convert it with llama.cpp's tools");
  }
}

}  // namespace

std::shared_ptr<const GgufFile> GgufFile::open(const std::filesystem::path& path) {
  std::shared_ptr<const MappedFile> file = MappedFile::open(path);
  refuse_lfs_pointer(*file);
  const std::string name = path.string();
  ByteReader reader(file->bytes(), name, "its header");
  read_start(reader, name);
  const std::uint64_t tensor_count = reader.u64();
  const std::uint64_t metadata_count = reader.u64();
  GgufMetadata metadata = read_metadata(reader, metadata_count);
  const std::uint32_t alignment = alignment_of(metadata, reader);
  if (tensor_count > reader.remaining() / kSmallestTensor) reader.fail(cat("claims ", tensor_count, " tensors"));
  std::vector<GgufTensor> tensors;
  for (std::uint64_t i = 0; i < tensor_count; ++i) tensors.push_back(read_tensor(reader, name));
  const std::uint64_t data_begin = (reader.position() + alignment - 1) / alignment * alignment;
  place(tensors, data_begin, file->bytes().size(), alignment, name);
  return std::shared_ptr<const GgufFile>(new GgufFile(std::move(file), std::move(metadata), std::move(tensors)));
}

const GgufValue* GgufFile::find_value(std::string_view key) const {
  for (const auto& [known, value] : metadata_) {
    if (known == key) return &value;
  }
  return nullptr;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors_.begin(), tensors_.end(), [&](const GgufTensor& tensor) { return tensor.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

std::span<const std::byte> GgufFile::raw(const GgufTensor& tensor) const {
  return file_->bytes().subspan(static_cast<std::size_t>(tensor.offset), static_cast<std::size_t>(tensor.bytes));
}

at::Tensor GgufFile::load(const GgufTensor& tensor) const {
  const auto view = [&](at::ScalarType dtype) {
    return mapped_tensor(file_, tensor.offset, dtype, tensor.shape, dense_strides(tensor.shape), tensor.name);
  };
  switch (tensor.type) {
    case GgufType::kFloat32:
      return view(at::kFloat);
    case GgufType::kFloat16:
      return view(at::kHalf);
    case GgufType::kBFloat16:
      return view(at::kBFloat16);
    case GgufType::kQ8_0:
      return dequantize_q8_0(raw(tensor), tensor.shape);
  }
  throw internal_error("unknown GGUF type");
}

}  // namespace striate

#include "striate/files/gguf_writer.h"

#include <ATen/core/TensorBody.h>
#include <ATen/ops/isfinite.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <span>
#include <type_traits>

#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/q8_0.h"

namespace striate {
namespace {

static_assert(std::endian::native == std::endian::little, "GGUF data is written as it lies in memory");

constexpr std::int64_t kPieceElements = std::int64_t{1} << 21;  // converted at a time; a multiple of q8_0's blocks

std::uint64_t padded(std::uint64_t bytes) {
  return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

template <typename T>
void put(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    put<std::uint64_t>(out, value.size());
    out += value;
  } else if constexpr (std::is_same_v<T, bool>) {
    out += value ? '\x01' : '\x00';
  } else {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    out.append(bytes, sizeof value);
  }
}

void put_array(std::string& out, const GgufArray& array) {
  put<std::uint32_t>(out, static_cast<std::uint32_t>(array.index()));
  std::visit(
      [&](const auto& items) {
        if constexpr (std::is_same_v<std::decay_t<decltype(items)>, std::monostate>) {
          throw internal_error("GGUF arrays of arrays are not written");
        } else {
          put<std::uint64_t>(out, items.size());
          for (const typename std::decay_t<decltype(items)>::value_type& item : items) put(out, item);
        }
      },
      array);
}

void put_value(std::string& out, const GgufValue& value) {
  put<std::uint32_t>(out, static_cast<std::uint32_t>(value.index()));
  std::visit(
      [&](const auto& item) {
        if constexpr (std::is_same_v<std::decay_t<decltype(item)>, GgufArray>) {
          put_array(out, item);
        } else {
          put(out, item);
        }
      },
      value);
}

// Everything before the data, padded to the alignment.
std::string header_bytes(const std::string& file, const GgufMetadata& metadata,
                         const std::vector<GgufWriter::Entry>& entries) {
  std::string out(kGgufMagic);
  put(out, kGgufVersion);
  put<std::uint64_t>(out, entries.size());
  put<std::uint64_t>(out, metadata.size());
  std::set<std::string_view> names;
  for (const auto& [key, value] : metadata) {
    if (!names.insert(key).second) throw internal_error(cat(file, ": key ", quoted_name(key), " occurs twice"));
    put(out, key);
    put_value(out, value);
  }
  names.clear();
  std::uint64_t offset = 0;
  for (const GgufWriter::Entry& entry : entries) {
    const auto bytes = gguf_tensor_bytes(entry.type, entry.shape);
    if (!names.insert(entry.name).second || entry.name.empty() || entry.name.size() > kGgufLongestName || !bytes ||
        entry.shape.size() > kGgufDimensions || entry.shape.empty()) {
      throw internal_error(cat(file, ": tensor ", quoted_name(entry.name), ' ', shape_text(entry.shape),
                               " cannot be written as ", gguf_type_name(entry.type)));
    }
    put(out, entry.name);
    put<std::uint32_t>(out, static_cast<std::uint32_t>(entry.shape.size()));
    for (auto size = entry.shape.rbegin(); size != entry.shape.rend(); ++size) put<std::int64_t>(out, *size);
    put<std::uint32_t>(out, static_cast<std::uint32_t>(entry.type));
    put<std::uint64_t>(out, offset);
    offset += padded(*bytes);
  }
  out.resize(padded(out.size()), '\0');
  return out;
}

}  // namespace

struct GgufWriter::State {
  std::string name;  // of the file, for messages
  std::vector<Entry> entries;
  std::size_t written = 0;
  std::uint64_t bytes = 0;  // of the whole file
  AtomicFile file;
};

GgufWriter::GgufWriter(const OutputPath& path, const GgufMetadata& metadata, std::vector<Entry> entries) {
  const std::string header = header_bytes(path.shown(), metadata, entries);
  std::uint64_t bytes = header.size();
  for (const Entry& entry : entries) bytes += padded(*gguf_tensor_bytes(entry.type, entry.shape));
  state_ = std::unique_ptr<State>(new State{path.shown(), std::move(entries), 0, bytes, AtomicFile(path)});
  state_->file.write(header);
}

GgufWriter::~GgufWriter() = default;

std::uint64_t GgufWriter::file_bytes() const {
  return state_->bytes;
}

void GgufWriter::append(const at::Tensor& tensor) {
  if (state_->written == state_->entries.size()) {
    throw internal_error(cat(state_->name, ": one tensor more than the ", state_->entries.size(), " declared"));
  }
  const Entry& entry = state_->entries[state_->written];
  if (!tensor.defined() || !tensor.is_floating_point() || tensor.sizes() != at::IntArrayRef(entry.shape)) {
    const std::string got = tensor.defined() ? cat(c10::toString(tensor.scalar_type()), ' ', tensor.sizes()) : "none";
    throw internal_error(cat(state_->name, ": tensor ", quoted_name(entry.name), " was declared as ",
                             shape_text(entry.shape), ", got ", got));
  }
  const at::Tensor flat = tensor.detach().to(at::kCPU).contiguous().view({-1});
  const bool narrows = entry.type == GgufType::kQ8_0 || entry.type == GgufType::kFloat16;
  for (std::int64_t begin = 0; begin < flat.numel(); begin += kPieceElements) {
    const at::Tensor piece = flat.narrow(0, begin, std::min(kPieceElements, flat.numel() - begin));
    const at::Tensor converted = piece.to(loaded_dtype(entry.type));
    if (narrows && !at::isfinite(converted).all().item<bool>()) {
      throw unsupported(
          cat(state_->name, ": tensor ", entry.name, " has numbers that ", gguf_type_name(entry.type), " cannot hold"),
          "export it as bf16 or f32");
    }
    if (entry.type == GgufType::kQ8_0) {
      state_->file.write(
          quantize_q8_0({converted.const_data_ptr<float>(), static_cast<std::size_t>(converted.numel())}));
    } else {
      state_->file.write(std::span(static_cast<const std::byte*>(converted.const_data_ptr()), converted.nbytes()));
    }
  }
  const std::uint64_t bytes = *gguf_tensor_bytes(entry.type, entry.shape);
  state_->file.write(std::string(padded(bytes) - bytes, '\0'));
  ++state_->written;
}

void GgufWriter::commit() {
  if (state_->written != state_->entries.size()) {
    throw internal_error(
        cat(state_->name, ": only ", state_->written, " of its ", state_->entries.size(), " tensors were written"));
  }
  state_->file.commit();
}

}  // namespace striate

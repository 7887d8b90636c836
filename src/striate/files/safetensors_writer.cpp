#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <span>

#include "striate/base/error.h"
#include "striate/base/output_file.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/files/safetensors_format.h"
#include "striate/files/weight_file.h"

namespace striate {
namespace {

using Metadata = std::vector<std::pair<std::string, std::string>>;

// JSON text of `text`, which must be UTF-8.
std::string json_string(const std::string& text) {
  if (!is_valid_utf8(text)) throw internal_error(cat("safetensors: ", quoted_name(text), " is not UTF-8"));
  return nlohmann::json(text).dump();
}

std::string metadata_json(const Metadata& metadata) {
  std::vector<std::string> items;
  for (const auto& [key, value] : metadata) items.push_back(cat(json_string(key), ':', json_string(value)));
  return cat('"', kSafetensorsMetadata, "\":{", join(items, ","), '}');
}

// The length prefix and the header, padded with blanks so that the data begins at a multiple of eight.
std::string header_bytes(const std::string& file, const std::vector<SafetensorsWriter::Entry>& entries,
                         const Metadata& metadata) {
  std::vector<std::string> items;
  if (!metadata.empty()) items.push_back(metadata_json(metadata));
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const SafetensorsWriter::Entry& entry : entries) {
    if (!names.insert(entry.name).second || entry.name == kSafetensorsMetadata) {
      throw internal_error(
          cat(file, ": tensor ", quoted_name(entry.name), " is declared twice or has the name of the metadata"));
    }
    const std::optional<std::string_view> dtype = safetensors_dtype_name(entry.dtype);
    if (!dtype)
      throw internal_error(
          cat(file, ": safetensors has no ", c10::toString(entry.dtype), " for ", quoted_name(entry.name)));
    const std::optional<std::uint64_t> bytes = dense_bytes(entry.dtype, entry.shape);
    if (!bytes || offset + *bytes < offset)
      throw internal_error(cat(file, ": the shape of ", quoted_name(entry.name), " overflows"));
    items.push_back(cat(json_string(entry.name), R"(:{"dtype":")", *dtype, R"(","shape":)",
                        nlohmann::json(entry.shape).dump(), R"(,"data_offsets":[)", offset, ',', offset + *bytes,
                        "]}"));
    offset += *bytes;
  }
  std::string header = cat('{', join(items, ","), '}');
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > kSafetensorsHeaderCap) {
    throw unsupported(
        cat(file, ": its header would have ", human_bytes(header.size()), ", more than the 100 MB safetensors allows"),
        "write fewer tensors to one file");
  }
  std::string length(kSafetensorsLengthBytes, '\0');
  for (std::size_t i = 0; i < length.size(); ++i) length[i] = static_cast<char>((header.size() >> (8 * i)) & 0xFF);
  return length + header;
}

}  // namespace

struct SafetensorsWriter::State {
  std::string name;  // of the file, for messages
  std::vector<Entry> entries;
  std::size_t written = 0;
  AtomicFile file;
};

SafetensorsWriter::SafetensorsWriter(const OutputPath& path, std::vector<Entry> entries, const Metadata& metadata) {
  const std::string header = header_bytes(path.shown(), entries, metadata);
  state_ = std::unique_ptr<State>(new State{path.shown(), std::move(entries), 0, AtomicFile(path)});
  state_->file.write(header);
}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::append(const at::Tensor& tensor) {
  if (state_->written == state_->entries.size()) {
    throw internal_error(cat(state_->name, ": one tensor more than the ", state_->entries.size(), " declared"));
  }
  const Entry& entry = state_->entries[state_->written];
  if (!tensor.defined() || tensor.layout() != at::kStrided || tensor.scalar_type() != entry.dtype ||
      tensor.sizes() != at::IntArrayRef(entry.shape)) {
    const std::string got = tensor.defined() ? cat(c10::toString(tensor.scalar_type()), ' ', tensor.sizes()) : "none";
    throw internal_error(cat(state_->name, ": tensor ", quoted_name(entry.name), " was declared as ",
                             c10::toString(entry.dtype), ' ', shape_text(entry.shape), ", got ", got));
  }
  const at::Tensor dense = tensor.detach().to(at::kCPU).contiguous();
  state_->file.write(std::span(static_cast<const std::byte*>(dense.const_data_ptr()), dense.nbytes()));
  ++state_->written;
}

void SafetensorsWriter::commit() {
  if (state_->written != state_->entries.size()) {
    throw internal_error(
        cat(state_->name, ": only ", state_->written, " of its ", state_->entries.size(), " tensors were written"));
  }
  state_->file.commit();
}

void write_safetensors(const OutputPath& path, const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const Metadata& metadata) {
  std::vector<SafetensorsWriter::Entry> entries;
  entries.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) entries.push_back({name, tensor.scalar_type(), tensor.sizes().vec()});
  SafetensorsWriter writer(path, std::move(entries), metadata);
  for (const auto& [name, tensor] : tensors) writer.append(tensor);
  writer.commit();
}

}  // namespace striate

#include "striate/model/fingerprint.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <span>

#include "striate/base/sha256.h"
#include "striate/base/strings.h"
#include "striate/files/mapped_tensor.h"
#include "striate/model/adapter_file.h"

namespace striate {
namespace {

constexpr std::size_t kBlockBytes = 4096;
constexpr std::size_t kBlocks = 8;
constexpr std::size_t kWholeBytes = 16 * kBlockBytes;
constexpr std::size_t kSampleValues = 64;

void add_text(Sha256& hash, const std::string& text) {
  hash.add(std::as_bytes(std::span(text.data(), text.size())));
}

void add_bytes(Sha256& hash, std::span<const std::byte> bytes) {
  if (bytes.size() <= kWholeBytes) return hash.add(bytes);
  for (std::size_t i = 0; i < kBlocks; ++i) {
    hash.add(bytes.subspan((bytes.size() - kBlockBytes) / (kBlocks - 1) * i, kBlockBytes));
  }
}

at::Tensor stored(const WeightSource::Entry& entry) {
  return entry.file->load(entry.info->name).contiguous();
}

void add_content(Sha256& hash, const at::Tensor& tensor) {
  add_text(hash, cat(c10::toString(tensor.scalar_type()), "\n"));
  add_bytes(hash, {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()});
}

std::string name_and_shape(const std::string& name, const WeightSource::Entry& entry) {
  return cat(name, " ", shape_text(entry.info->shape), "\n");
}

float middle_value(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  return tensor.view(-1)[tensor.numel() / 2].to(at::kFloat).item<float>();
}

// At most kSampleValues of them, evenly spread.
std::vector<float> thinned(const std::vector<float>& values) {
  const std::size_t step = (values.size() + kSampleValues - 1) / kSampleValues;
  std::vector<float> kept;
  for (std::size_t i = 0; i < values.size(); i += step) kept.push_back(values[i]);
  return kept;
}

bool is_in_layers(const std::string& canonical) {
  return canonical.starts_with("model.layers.") || canonical.starts_with("model.norm.");
}

// The type with fewer digits after the point rounds by 2^-8 of the value at most; fp16 drops what is below 2^-24.
bool equal_but_for_rounding(float a, float b) {
  return std::abs(a - b) <= std::max(std::abs(a), std::abs(b)) * 0x1p-7F + 0x1p-24F;
}

}  // namespace

std::string weights_fingerprint(const Checkpoint& checkpoint) {
  Sha256 hash;
  for (const auto& [name, entry] : checkpoint.weights.entries()) {
    add_text(hash, name_and_shape(name, entry));
    add_content(hash, stored(entry));
  }
  return hash.finish();
}

std::string adapter_fingerprint(const AdapterFile& adapter) {
  Sha256 hash;
  add_text(hash, adapter_start_name(adapter.settings().start));
  for (const AdapterPair& pair : adapter.pairs()) {
    add_text(hash, cat(pair.layer, " ", pair.linear, " ", adapter.scale(pair), "\n"));
    for (const TensorInfo* matrix : {pair.a, pair.b}) {
      add_text(hash, shape_text(matrix->shape));
      add_content(hash, adapter.load(*matrix).contiguous());
    }
  }
  return hash.finish();
}

DecoderFingerprint decoder_fingerprint(const Checkpoint& checkpoint) {
  DecoderFingerprint out;
  Sha256 shapes;
  Sha256 content;
  std::set<std::string> dtypes;
  for (const auto& [name, entry] : checkpoint.weights.entries()) {
    if (!is_in_layers(name)) continue;
    const std::string line = name_and_shape(name, entry);
    const at::Tensor tensor = stored(entry);
    add_text(shapes, line);
    add_text(content, line);
    add_content(content, tensor);
    dtypes.insert(c10::toString(tensor.scalar_type()));
    out.sample.push_back(middle_value(tensor));
  }
  out.sample = thinned(out.sample);
  out.shapes = shapes.finish();
  out.content = content.finish();
  out.dtypes = join({dtypes.begin(), dtypes.end()}, ", ");
  return out;
}

bool DecoderFingerprint::same_weights(const DecoderFingerprint& other) const {
  if (content == other.content) return true;
  if (shapes != other.shapes || dtypes == other.dtypes || sample.size() != other.sample.size()) return false;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (!equal_but_for_rounding(sample[i], other.sample[i])) return false;
  }
  return true;
}

}  // namespace striate

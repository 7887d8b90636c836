#include "striate/model/random_weights.h"

#include <algorithm>
#include <cmath>

#include "striate/base/error.h"
#include "striate/base/random.h"
#include "striate/base/strings.h"
#include "striate/tensor/parallel.h"

namespace striate {
namespace {

constexpr double kEmbeddingStd = 0.02;

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), inlined and without the second round of RandomStream: a 7B model
// draws seven billion times.
inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

template <typename Value>
void fill_normal(Value* out, std::int64_t count, std::uint64_t key, double std_deviation) {
  constexpr std::uint64_t kStep = 0x9E3779B97F4A7C15ULL;
  constexpr float kMean = 2.0F * 65535.0F;  // of four 16-bit uniforms
  const auto scale = static_cast<float>(std_deviation / (65536.0 * std::sqrt(4.0 / 12.0)));
  constexpr std::int64_t kGrain = 1 << 18;
  parallel_ranges(count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::uint64_t counter = key + static_cast<std::uint64_t>(begin) * kStep;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::uint64_t bits = mix(counter);
      counter += kStep;
      const auto sum =
          static_cast<std::int32_t>((bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48));
      out[i] = static_cast<Value>((static_cast<float>(sum) - kMean) * scale);
    }
  });
}

template <typename Value>
void fill(at::Tensor& out, std::uint64_t key, double constant, double std_deviation, std::int64_t random_count) {
  Value* const data = out.data_ptr<Value>();
  const std::int64_t count = out.numel();
  if (std_deviation > 0) fill_normal(data, random_count, key, std_deviation);
  std::fill(data + (std_deviation > 0 ? random_count : 0), data + count,
            static_cast<Value>(static_cast<float>(constant)));
}

bool is_embedding(const std::string& name) {
  return name.ends_with("embed_tokens.weight") || name.ends_with("class_embedding") ||
         name.ends_with("position_embedding.weight");
}

bool adds_to_stream(const std::string& name) {
  return name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
}

}  // namespace

void fill_random(at::Tensor& out, const TensorSpec& spec, std::uint64_t seed, std::int64_t used_rows,
                 const WeightScale& scale) {
  double constant = 0;
  double std_deviation = 0;
  if (is_embedding(spec.name)) {
    std_deviation = spec.name.ends_with("embed_tokens.weight") ? scale.embedding_std : kEmbeddingStd;
  } else if (spec.shape.size() >= 2) {
    const std::int64_t in = spec.numel() / std::max<std::int64_t>(spec.shape.front(), 1);
    std_deviation = (adds_to_stream(spec.name) ? scale.residual : 1.0) / std::sqrt(static_cast<double>(in));
  } else if (spec.name.ends_with(".weight")) {
    constant = 1;  // a norm
  }
  const std::int64_t rows = spec.shape.front();
  const std::int64_t random_count = out.numel() / rows * std::min(rows, used_rows);
  const std::uint64_t key = RandomStream(seed, spec.name).bits(0);
  switch (out.scalar_type()) {
    case at::kFloat:
      return fill<float>(out, key, constant, std_deviation, random_count);
    case at::kHalf:
      return fill<at::Half>(out, key, constant, std_deviation, random_count);
    case at::kBFloat16:
      return fill<at::BFloat16>(out, key, constant, std_deviation, random_count);
    default:
      throw internal_error(cat("random weights of type ", c10::toString(out.scalar_type())));
  }
}

}  // namespace striate
